"""Tastes inferred from a log by whoever knows everything else of a generated shop."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks import attainable
from benchmarks.attainable import CUSTOMERS, KNOWN, READ, Shop, require_same
from benchmarks.grid import AS_OF
from benchmarks.shoppers import Knowledge, Reading
from coldstart_models.snapshot import microseconds
from feature_repo.catalogs.marketplace.choices import event_frame
from feature_repo.catalogs.marketplace.generation import UTILITY, truth_frame
from feature_repo.catalogs.marketplace.size import SIZES
from feature_repo.catalogs.marketplace.stock import Floats, make_stock
from feature_repo.catalogs.marketplace.tastes import make_shoppers, utilities
from feature_repo.catalogs.marketplace.visits import WEEK_US

SMALL = SIZES["small"]


@pytest.fixture(scope="module")
def shop() -> Shop:
    shoppers, stock = make_shoppers(SMALL.users, seed=3), make_stock(SMALL, seed=3)
    begun = microseconds(AS_OF) - SMALL.weeks * WEEK_US
    events = event_frame(
        shoppers,
        stock,
        utilities(shoppers, stock),
        start_us=begun,
        weeks=SMALL.weeks,
        sessions=SMALL.sessions,
        seed=3,
        source="marketplace",
    )
    return Shop.of(events, size=SMALL, seed=3)


@pytest.fixture(scope="module")
def true_utility(shop: Shop) -> Floats:
    return utilities(shop.shoppers, shop.stock)


def test_what_is_known_is_the_utility_of_the_shop(shop: Shop, true_utility: Floats) -> None:
    known = Knowledge.of(shop.shoppers, shop.stock, hidden=True)
    of_the_mean = known.mean @ known.design + known.liked
    np.testing.assert_allclose(of_the_mean, true_utility.mean(axis=0), atol=1e-4)
    spread = (known.root @ known.design).square().sum(dim=0)
    np.testing.assert_allclose(spread, true_utility.var(axis=0, ddof=1), rtol=1e-3)


def test_what_no_content_shows_can_be_left_out(shop: Shop) -> None:
    other = [replace(one, charm=(9.0, -9.0, 9.0)) for one in shop.stock]
    here, there = (
        Knowledge.of(shop.shoppers, stock, hidden=False) for stock in (shop.stock, other)
    )
    assert here.design.equal(there.design)
    known = Knowledge.of(shop.shoppers, shop.stock, hidden=True)
    assert not known.design.equal(here.design)
    brands = pd.Series([one.brand for one in shop.stock])
    assert pd.Series(here.liked.numpy()).groupby(brands).nunique().max() == 1
    assert pd.Series(known.liked.numpy()).groupby(brands).nunique().max() > 1


def test_the_log_is_read_visit_by_visit(shop: Shop) -> None:
    log = shop.log
    assert log.offered[log.visit, log.item].all()
    assert (log.of_home[log.item] == log.home[log.visit]).all()
    pairs = pd.DataFrame(
        {
            "user": log.user[log.visit].numpy(),
            "item": log.item.numpy(),
            "clicked": log.clicked.numpy(),
            "seen": log.seen.numpy(),
        }
    )
    of_pair = pairs.groupby(["user", "item"])
    assert of_pair["seen"].any().sum() > 0
    assert (of_pair["seen"].any() <= of_pair["clicked"].any()).all()
    assert not pairs[of_pair["clicked"].transform("sum") == 0]["seen"].any()


def test_more_of_the_log_tells_more_of_the_people(shop: Shop, true_utility: Floats) -> None:
    def likeness(told: Floats) -> float:
        """Mean correlation with the truth of people's deviations from everybody."""
        own, true = (each - each.mean(axis=0) for each in (told, true_utility))
        return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(own, true, strict=True)]))

    reached = {
        reading: shop.expected(reading, hidden=True)[UTILITY].to_numpy().reshape(SMALL.users, -1)
        for reading in Reading
    }
    true_utility = true_utility[:, [one.is_home for one in shop.stock]]
    told = {reading: likeness(values) for reading, values in reached.items()}
    assert 0.3 < told[Reading.CLICKS] < told[Reading.ALL] < 1.0


def test_the_truth_of_another_shop_is_told(shop: Shop, true_utility: Floats) -> None:
    truth = truth_frame(shop.shoppers, shop.stock, true_utility)
    require_same(shop, truth)
    with pytest.raises(ValueError, match=f"not of a shop with seed {attainable.SEED}"):
        require_same(shop, truth.assign(**{UTILITY: truth[UTILITY] + 1.0}))
    with pytest.raises(ValueError, match="stored truth"):
        require_same(shop, None)


def test_the_table_has_a_line_for_all_that_is_known_and_read() -> None:
    rows = [
        {KNOWN: known, READ: "clicks", CUSTOMERS: count, "mean": mean, "low": 0.1, "high": 0.9}
        for known, mean in (("some", 0.5), ("all", 0.75))
        for count in (0, 10)
    ]
    lines = attainable.published(rows).splitlines()
    assert [line for line in lines if line.startswith("| ")] == [
        "| known of a listing | read of the log | k = 0 | k = 10 |",
        "| --- | ---: | ---: | ---: |",
        "| some | clicks | 50.0% (10.0%–90.0%) | 50.0% (10.0%–90.0%) |",
        "| all | clicks | 75.0% (10.0%–90.0%) | 75.0% (10.0%–90.0%) |",
    ]

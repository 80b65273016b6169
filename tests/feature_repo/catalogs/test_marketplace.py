"""The generated marketplace: one seed, one shop; and a log that follows the stated choices."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.catalogs.marketplace import SIZES, MarketplaceSize, marketplace_size, read
from feature_repo.catalogs.marketplace.choices import BEHAVIOUR, propensities
from feature_repo.catalogs.marketplace.products import CLOTHING, HOME, PRODUCTS
from feature_repo.catalogs.marketplace.stock import Listing, make_stock
from feature_repo.catalogs.marketplace.styles import STYLES
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import tables

AS_OF = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SMALL = SIZES["small"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marketplace")


@pytest.fixture(scope="module")
def shop(photos: Path) -> SourceData:
    return read(photos=photos, as_of=AS_OF, seed=3, size=SMALL)


@pytest.fixture(scope="module")
def stock() -> dict[str, Listing]:
    return {one.item_id: one for one in make_stock(SMALL, seed=3)}


@pytest.fixture(scope="module")
def positive(shop: SourceData) -> pd.DataFrame:
    return shop.events[shop.events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_seed_and_end_give_identical_frames_and_photo_bytes(
    shop: SourceData, photos: Path, tmp_path: Path
) -> None:
    again = read(photos=tmp_path, as_of=AS_OF, seed=3, size=SMALL)
    pd.testing.assert_frame_equal(
        again.items.drop(columns=tables.IMAGE_PATH), shop.items.drop(columns=tables.IMAGE_PATH)
    )
    pd.testing.assert_frame_equal(again.events, shop.events)
    pd.testing.assert_frame_equal(again.truth, shop.truth)
    assert hashes(tmp_path) == hashes(photos)


def test_another_end_moves_every_time_and_changes_nothing_else(
    shop: SourceData, photos: Path
) -> None:
    later = read(photos=photos, as_of=AS_OF + timedelta(days=2), seed=3, size=SMALL)
    moved = later.items.assign(listed_at=later.items[tables.LISTED_AT] - timedelta(days=2))
    pd.testing.assert_frame_equal(moved, shop.items)
    moved = later.events.assign(
        event_timestamp=later.events[tables.EVENT_TIMESTAMP] - timedelta(days=2)
    )
    pd.testing.assert_frame_equal(moved, shop.events)


def test_another_seed_gives_another_shop(shop: SourceData, tmp_path: Path) -> None:
    size = MarketplaceSize(users=5, home_listings=17, source_listings=10, weeks=4, sessions=2.0)
    one, other = (
        read(photos=tmp_path / str(seed), as_of=AS_OF, seed=seed, size=size) for seed in (0, 1)
    )
    assert one.items[tables.TITLE].tolist() != other.items[tables.TITLE].tolist()
    assert not one.truth.equals(other.truth)  # type: ignore[union-attr]


def test_it_says_that_it_is_generated_and_timed(shop: SourceData) -> None:
    assert (shop.name, shop.generated, shop.ordering) == ("marketplace", True, Ordering.TIME)


def test_the_frames_have_the_canonical_columns_and_types(shop: SourceData) -> None:
    assert list(shop.items.columns) == tables.ITEMS.names
    assert set(shop.events.columns) <= set(tables.EVENTS.names)
    assert tables.ITEMS.to_arrow(shop.items).schema == tables.ITEMS.schema
    assert tables.EVENTS.to_arrow(shop.events).schema == tables.EVENTS.schema
    assert shop.items[tables.ITEM_ID].is_unique
    assert shop.events[tables.EVENT_ID].is_unique
    assert shop.events[tables.EVENT_TIMESTAMP].is_monotonic_increasing


def test_counts_are_as_asked(shop: SourceData) -> None:
    home = shop.items[tables.DOMAIN] == HOME
    assert (home.sum(), (~home).sum()) == (SMALL.home_listings, SMALL.source_listings)
    assert shop.events[tables.USER_ID].nunique() == SMALL.users


def test_no_event_is_before_its_listing_or_after_the_end(shop: SourceData) -> None:
    listed = shop.items.set_index(tables.ITEM_ID)[tables.LISTED_AT]
    times = shop.events[tables.EVENT_TIMESTAMP]
    assert (times >= shop.events[tables.ITEM_ID].map(listed)).all()
    assert times.max() <= pd.Timestamp(AS_OF)
    assert times.min() >= pd.Timestamp(AS_OF - timedelta(weeks=SMALL.weeks))


def test_home_listings_launch_in_every_week(shop: SourceData) -> None:
    home = shop.items[shop.items[tables.DOMAIN] == HOME]
    start = pd.Timestamp(AS_OF - timedelta(weeks=SMALL.weeks))
    week = ((home[tables.LISTED_AT] - start) // timedelta(weeks=1)).astype(int)
    launched = week[week >= 0].value_counts()
    assert sorted(launched.index) == list(range(SMALL.weeks))
    assert launched.max() - launched.min() <= 1
    assert (week < 0).sum() == SMALL.home_listings // 4


def test_every_choice_follows_an_impression_with_a_propensity(shop: SourceData) -> None:
    assert shop.events[tables.PROPENSITY].between(0, 1, inclusive="right").all()
    key = [tables.SESSION_ID, tables.ITEM_ID]
    steps = shop.events.set_index([*key, tables.EVENT_TYPE])[tables.EVENT_TIMESTAMP].unstack()
    assert steps[tables.IMPRESSION].notna().all()
    order = [tables.IMPRESSION, tables.CLICK, tables.CART, tables.PURCHASE]
    for before, after in pairwise(order):
        taken = steps[after].notna()
        assert taken.any()
        assert (steps.loc[taken, before] < steps.loc[taken, after]).all()


def test_propensities_follow_the_formula() -> None:
    even, old = np.zeros((1, 28)), np.full((1, 28), 1e3)
    everything = np.ones((1, 28), bool)
    assert propensities(even, old, everything) == pytest.approx(np.full((1, 28), 0.5))
    half = np.arange(28)[None] < 14
    assert propensities(even, old, half).tolist() == [[1.0] * 14 + [0.0] * 14]
    fresh, liked = np.where(half, 0.0, old), np.where(half, 2.0, 0.0)
    new = propensities(even, fresh, everything)[0]
    assert new[0] / new[-1] == pytest.approx(1 + BEHAVIOUR.novelty)
    better = propensities(liked, old, everything)[0]
    assert better[0] / better[-1] == pytest.approx(np.exp(2.0 * BEHAVIOUR.search))


def test_recorded_propensities_are_the_rates_of_being_shown(
    shop: SourceData, stock: dict[str, Listing]
) -> None:
    """Each impression weighted by 1 / propensity adds up to what was on offer (unbiased)."""
    home = [one for one in stock.values() if one.is_home]
    shown = shop.events[shop.events[tables.EVENT_TYPE] == tables.IMPRESSION]
    shown = shown[shown[tables.ITEM_ID].isin([one.item_id for one in home])]
    start = pd.Timestamp(AS_OF - timedelta(weeks=SMALL.weeks))
    begun = shown.groupby(tables.SESSION_ID)[tables.EVENT_TIMESTAMP].min()
    week = ((begun - start) / timedelta(weeks=1)).to_numpy()[:, None]
    listed = np.array([one.listed_week for one in home])
    retired = np.array([one.retired_week for one in home])
    on_offer = ((listed <= week) & (week < retired)).sum()
    assert (1 / shown[tables.PROPENSITY]).sum() == pytest.approx(on_offer, rel=0.05)


def test_purchases_name_quantity_and_price(shop: SourceData) -> None:
    bought = shop.events[tables.EVENT_TYPE] == tables.PURCHASE
    assert (shop.events.loc[bought, tables.QUANTITY] >= 1).all()
    assert (shop.events.loc[bought, tables.UNIT_PRICE] > 0).all()
    assert shop.events.loc[~bought, tables.QUANTITY].isna().all()


def test_the_truth_covers_every_user_and_home_listing_once(shop: SourceData) -> None:
    assert shop.truth is not None
    pairs = shop.truth[[tables.USER_ID, tables.ITEM_ID]]
    assert len(pairs) == SMALL.users * SMALL.home_listings
    assert not pairs.duplicated().any()
    home = shop.items.loc[shop.items[tables.DOMAIN] == HOME, tables.ITEM_ID]
    assert set(pairs[tables.ITEM_ID]) == set(home)
    assert set(pairs[tables.USER_ID]) == set(shop.events[tables.USER_ID])
    assert np.isfinite(shop.truth["utility"]).all()


def test_of_what_is_shown_the_higher_utility_is_chosen_more_often(shop: SourceData) -> None:
    assert shop.truth is not None
    shown = shop.events[shop.events[tables.EVENT_TYPE] == tables.IMPRESSION]
    clicks = shop.events[shop.events[tables.EVENT_TYPE] == tables.CLICK]
    key = [tables.SESSION_ID, tables.ITEM_ID]
    shown = shown.merge(shop.truth, on=[tables.USER_ID, tables.ITEM_ID])
    shown = shown.merge(clicks[key].assign(clicked=1.0), on=key, how="left").fillna({"clicked": 0})
    fifths = pd.qcut(shown.groupby(tables.USER_ID)["utility"].rank(pct=True), 5, labels=False)
    rates = shown.groupby(fifths)["clicked"].mean()
    assert rates.is_monotonic_increasing
    log_odds = np.log(rates / (1 - rates))
    assert log_odds.iloc[-1] - log_odds.iloc[0] > 2


def test_a_taste_in_clothing_tells_the_taste_at_home(
    positive: pd.DataFrame, stock: dict[str, Listing]
) -> None:
    """The style chosen most in the source domain is chosen at home above its usual share."""
    style = positive[tables.ITEM_ID].map(lambda item_id: stock[item_id].style)
    home = positive[tables.ITEM_ID].map(lambda item_id: stock[item_id].is_home)
    users = positive[tables.USER_ID]
    at_home, elsewhere = (
        pd.crosstab(users[side], style[side]).reindex(columns=range(len(STYLES)), fill_value=0)
        for side in (home, ~home)
    )
    both = at_home.index.intersection(elsewhere.index)
    favourite = elsewhere.loc[both].to_numpy().argmax(axis=1)
    shares = at_home.loc[both].div(at_home.loc[both].sum(axis=1), axis=0).to_numpy()
    own = shares[np.arange(len(both)), favourite].mean()
    usual = shares.mean(axis=0)[favourite].mean()
    assert len(both) > 60
    assert own > 1.3 * usual


def test_the_log_has_a_long_tail_and_every_user_a_history(
    positive: pd.DataFrame, shop: SourceData
) -> None:
    per_user = (
        positive.groupby(tables.USER_ID)
        .size()
        .reindex(shop.events[tables.USER_ID].unique(), fill_value=0)
    )
    assert 15 <= per_user.median() <= 60
    users_of = positive.groupby(tables.ITEM_ID)[tables.USER_ID].nunique()
    assert users_of.max() > 4 * users_of.median()


def test_titles_say_factors_in_part_only(shop: SourceData, stock: dict[str, Listing]) -> None:
    def says(item_id: str, title: str) -> bool:
        return any(word in title.lower() for word in STYLES[stock[item_id].style].words)

    said = [
        says(item_id, title)
        for item_id, title in zip(
            shop.items[tables.ITEM_ID], shop.items[tables.TITLE].fillna(""), strict=True
        )
    ]
    assert 0.2 < np.mean(said) < 0.6


def test_some_sellers_leave_fields_out_but_never_everything(shop: SourceData) -> None:
    missing = shop.items.isna()
    for name in (tables.DESCRIPTION, tables.PRICE, tables.IMAGE_PATH, tables.BRAND):
        assert 0 < missing[name].mean() < 0.3
    content = [tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH]
    assert not missing[content].all(axis=1).any()
    filled = shop.items[tables.ATTRIBUTES].dropna().map(json.loads)
    assert filled.map(lambda row: list(row) == sorted(row)).all()


def test_both_sides_share_every_style(stock: dict[str, Listing]) -> None:
    for home in (True, False):
        assert {one.style for one in stock.values() if one.is_home == home} == set(range(6))
    assert any(product.domain == CLOTHING for product in PRODUCTS)


def test_an_end_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no time zone"):
        read(photos=tmp_path, as_of=datetime(2026, 5, 4), size=SMALL)


def test_an_unknown_or_impossible_size_is_refused() -> None:
    assert marketplace_size("small") is SMALL
    with pytest.raises(SourceError, match="known: demo, small"):
        marketplace_size("huge")
    with pytest.raises(SourceError, match="at least 16 home_listings, not 3"):
        MarketplaceSize(users=5, home_listings=3, source_listings=20, weeks=8, sessions=3.0)


def test_progress_never_goes_back_and_ends_at_the_total(photos: Path) -> None:
    seen: list[tuple[int, int]] = []
    size = MarketplaceSize(users=5, home_listings=17, source_listings=10, weeks=4, sessions=2.0)
    read(photos=photos / "progress", as_of=AS_OF, size=size, progress=lambda *at: seen.append(at))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]

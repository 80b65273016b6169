import numpy as np
import pytest

from benchmarks import cells, estimates
from benchmarks.oracle_shares import oracle_share, shares_of_oracle
from benchmarks.quality_tables import published, within_months
from benchmarks.standings import Standing
from coldstart_models.metrics import bootstrap_intervals

USERS = 60


def cell(cut, model, ndcg, *, seed=0, shots=None):
    """A cell in which every user has the same metrics, a little apart from one another."""
    values = [[0.5, ndcg + 0.001 * (user % 2), 1.0, 0.75] for user in range(USERS)]
    pools = [("cold", 0), ("cold>3", 0), *([("cold>3", 3)] if shots else [])]
    return {
        "cut": cut,
        "seed": seed,
        "model": model,
        "split": "random 0.2 of the items",
        "adapts": bool(shots),
        "seconds": 2.0,
        "trials": [],
        "pools": [
            {
                "pool": pool,
                "shots": count,
                "candidates": 40,
                "coverage": 1.0,
                "users": list(range(USERS)),
                "values": [[one[0], one[1] + (0.1 if count else 0), *one[2:]] for one in values],
            }
            for pool, count in pools
        ],
    }


RESULTS = [
    cell("ikea", "random", 0.01),
    cell("ikea", "content-knn", 0.2),
    cell("ikea", "als-map", 0.25),
    cell("ikea", "aldi", 0.1),
    cell("ikea", "melu", 0.15, shots=True),
    cell("ikea", "siamese", 0.24),
    cell("ikea", "siamese+meta", 0.26, shots=True),
    {"cut": "ikea", "seed": 0, "model": "content-knn-image", "skipped": "no photos"},
]
MACHINE = {"cpus": 2}


def test_the_siamese_models_stand_against_the_strongest_peer():
    text = published(RESULTS, asked=9, left_out={}, machine=MACHINE)
    line = "| `ikea` | 1 | `als-map` .2505 | −.0100 (−.0100 to −.0100) | "
    assert line + "+.0100 (+.0100 to +.0100) | +.0400 (+.0400 to +.0400) | " in text


def test_ranks_leave_out_chance():
    text = published(RESULTS, asked=9, left_out={}, machine=MACHINE)
    ranks = text.partition("mean rank")[2].partition("**ikea**")[0]
    assert ranks.index("`als-map`") < ranks.index("`siamese`") < ranks.index("`content-knn`")
    assert "`siamese+meta`" not in ranks
    assert "`random`" not in ranks


def test_a_cut_that_has_only_begun_does_not_take_models_out_of_the_ranks():
    begun = [*RESULTS, cell("marketplace", "random", 0.01), cell("marketplace", "siamese", 0.2)]
    ranks = published(begun, asked=9, left_out={}, machine=MACHINE).partition("mean rank")[2]
    assert ranks.startswith(" | `ikea` |\n")
    assert "`als-map`" in ranks.partition("**ikea**")[0]


def test_models_with_dates_stand_against_the_ensemble_with_dates():
    dated = [cell("ikea", "content-knn+date", 0.25), cell("ikea", "siamese+date", 0.27)]
    told = "`ikea`, ndcg@10 with dates less that of `content-knn+date`"
    text = published([*RESULTS, *dated], asked=9, left_out={}, machine=MACHINE)
    assert f"{told}: `siamese+date` +.0200 (+.0200 to +.0200).\n" in text
    assert told not in published([*RESULTS, dated[1]], asked=9, left_out={}, machine=MACHINE)


def test_a_cut_shows_what_was_left_out_and_why():
    text = published(
        RESULTS, asked=9, left_out={"retail-06-01": "there is no folder x"}, machine=MACHINE
    )
    assert "`content-knn-image` is left out: no photos." in text
    assert "- left out: retail-06-01 there is no folder x" in text
    assert "- cells: 8 of 9 measured" in text


def test_ends_of_the_scale_alone_make_a_table_in_which_nobody_is_best():
    text = published([cell("ikea", "random", 0.01)], asked=1, left_out={}, machine=MACHINE)
    assert "| `random` | 1 | .5000 | .0105 | 1.0000 | .7500 | " in text


def test_shots_are_shown_of_models_that_adapt_and_their_measures():
    shots = published(RESULTS, asked=9, left_out={}, machine=MACHINE).partition(
        "first k customers"
    )[2]
    assert "| `melu` | .1505 → .2505 |" in shots
    assert "| `siamese` | .2405 |" in shots
    assert "`aldi`" not in shots


def test_first_customers_are_compared_on_the_seeds_that_the_models_share():
    """A run that was cut off has more seeds of some."""
    more = [*RESULTS, cell("ikea", "content-knn", 0.9, seed=1)]
    told = [
        published(results, asked=9, left_out={}, machine=MACHINE).partition("first k customers")[2]
        for results in (RESULTS, more)
    ]
    assert told[1].partition("- machine")[0] == told[0].partition("- machine")[0]


def test_models_are_compared_on_the_seeds_that_they_share():
    more = Standing("ikea", [*RESULTS, cell("ikea", "content-knn", 0.4, seed=1)])
    assert more.seeds("content-knn") == [0, 1]
    assert more.seeds("content-knn", "als-map") == [0]
    assert more.estimate("content-knn").mean == pytest.approx(0.3005)
    assert more.difference("als-map", "content-knn").mean == pytest.approx(0.05)
    assert more.lead("aldi") == pytest.approx(-0.1)
    assert more.strongest(["aldi", "als-map", "dropoutnet"]) == "als-map"


def test_users_are_drawn_for_intervals_alone_and_once(monkeypatch):
    draws = []

    def counted(values, *, seed):
        draws.append(values.shape)
        return bootstrap_intervals(values, seed=seed)

    monkeypatch.setattr(estimates, "bootstrap_intervals", counted)
    cut = Standing("ikea", RESULTS)
    assert cut.strongest(["aldi", "als-map"]) == "als-map"
    assert cut.mean("melu", pool="cold>3", shots=3) == pytest.approx(0.2505)
    assert draws == []
    for metric in ("recall@20", "ndcg@10"):
        cut.estimate("als-map", metric)
        cut.difference("als-map", "content-knn", metric)
    assert draws == [(1, USERS, 4)] * 2


def test_models_without_a_seed_in_common_are_not_compared():
    apart = Standing("ikea", [*RESULTS, cell("ikea", "clcrec", 0.4, seed=1)])
    assert apart.difference("clcrec", "content-knn") is None


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="no cell has been measured"):
        published([], asked=0, left_out={}, machine=MACHINE)


def within(result, ndcg):
    """The cell with a pool of launch months beside the others."""
    cold = result["pools"][0]
    values = [[one[0], ndcg, *one[2:]] for one in cold["values"]]
    return result | {"pools": [*result["pools"], cold | {"pool": "month", "values": values}]}


LAUNCHES = [
    within(cell("retail-06-01", "random", 0.01), 0.1),
    within(cell("retail-06-01", "content-knn", 0.2), 0.25),
    within(cell("retail-06-01", "siamese", 0.24), 0.27),
    cell("retail-06-01", "aldi", 0.1),
]


def test_ranks_within_launch_months_stand_beside_the_best_ensemble():
    text = within_months(Standing("retail-06-01", LAUNCHES))
    assert "| `siamese` | **.2700** | .2700–.2700 | +.0200 (+.0200 to +.0200) |" in text
    assert "| `content-knn` | .2500 | .2500–.2500 | – |" in text
    assert "Not measured yet: `aldi`." in text
    assert text in published(LAUNCHES, asked=4, left_out={}, machine=MACHINE)


def test_a_cut_without_launch_months_has_no_table_of_them():
    assert within_months(Standing("ikea", RESULTS)) == ""


def test_a_share_of_the_oracle_is_of_the_same_pool():
    cut = Standing("marketplace", [*RESULTS, cell("marketplace", "oracle", 0.5)])
    assert oracle_share(cut, "siamese", shots=0).mean == pytest.approx(0.2405 / 0.5005)
    # With three first customers, an adapting model's .1 more counts; the others are as they were.
    assert oracle_share(cut, "siamese", shots=3).mean == pytest.approx(0.2405 / 0.5005)
    found = oracle_share(cut, "siamese+meta", shots=3)
    assert found.mean == pytest.approx(0.3605 / 0.5005)
    assert found.low <= found.mean <= found.high
    text = shares_of_oracle(cut)
    assert "| share of the oracle | k = 0 | k = 3 |" in text
    assert "| `siamese+meta` | 52.0% (" in text
    assert "`aldi`" not in text


def test_nobody_is_measured_by_an_oracle_that_is_not_there():
    cut = Standing("ikea", RESULTS)
    assert shares_of_oracle(cut) == ""
    assert oracle_share(cut, "siamese", shots=0) is None


def test_another_draw_of_items_moves_a_difference_as_far_as_it_is_theirs():
    """Leaving out one of twenty moves a mean of twenty by a nineteenth of what it is off."""
    effects = np.random.default_rng(0).normal(0.02, 0.01, cells.PARTS)
    without = (effects.sum() - effects) / (cells.PARTS - 1)
    ours, theirs = cell("ikea", "siamese", 0.3), cell("ikea", "content-knn", 0.28)
    theirs["pools"][0][cells.WITHOUT] = [0.28] * cells.PARTS
    standing = Standing("ikea", [ours, theirs])
    assert standing.over_items("siamese", "content-knn") is None
    ours["pools"][0][cells.WITHOUT] = (0.28 + without).tolist()
    standing = Standing("ikea", [ours, theirs])
    error = effects.std(ddof=1) / np.sqrt(cells.PARTS)
    assert standing.over_items("siamese", "content-knn") == pytest.approx(1.96 * error)
    assert standing.over_items("content-knn", "content-knn") == 0.0

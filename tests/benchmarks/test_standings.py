import pytest

from benchmarks.quality_tables import published
from benchmarks.standings import Standing

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
    assert ranks.index("`siamese+meta`") < ranks.index("`als-map`") < ranks.index("`siamese`")
    assert "`random`" not in ranks


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


def test_models_are_compared_on_the_seeds_that_they_share():
    more = Standing("ikea", [*RESULTS, cell("ikea", "content-knn", 0.4, seed=1)])
    assert more.seeds("content-knn") == [0, 1]
    assert more.seeds("content-knn", "als-map") == [0]
    assert more.estimate("content-knn").mean == pytest.approx(0.3005)
    assert more.difference("als-map", "content-knn").mean == pytest.approx(0.05)
    assert more.lead("aldi") == pytest.approx(-0.1)
    assert more.strongest(["aldi", "als-map", "dropoutnet"]) == "als-map"


def test_models_without_a_seed_in_common_are_not_compared():
    apart = Standing("ikea", [*RESULTS, cell("ikea", "clcrec", 0.4, seed=1)])
    assert apart.difference("clcrec", "content-knn") is None


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="no cell has been measured"):
        published([], asked=0, left_out={}, machine=MACHINE)

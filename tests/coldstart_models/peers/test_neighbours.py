import numpy as np
import pytest
from scipy import sparse

from coldstart_models.data.splits import cutoff_split
from coldstart_models.errors import NotEnoughData
from coldstart_models.models import build_ranker
from coldstart_models.peers.neighbours import AGGREGATIONS
from coldstart_models.peers.popularity import PopularityRanker
from coldstart_models.peers.selection import standardized
from coldstart_models.ranker import RankingTask
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board,
    board_rows,
    board_split,
    interactions_of,
    titled,
)

SIMILARITY = np.array([[0.9, 0.2], [0.1, 0.2], [-0.5, 0.2]], np.float32)


def chosen(*histories: list[int]) -> sparse.csr_matrix:
    marks = np.zeros((len(histories), len(SIMILARITY)), np.float32)
    for row, history in enumerate(histories):
        marks[row, history] = 1
    return sparse.csr_matrix(marks)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [0.5, 0.6]),
        ("max", [0.9, 0.2]),
        ("best 3", [0.5, 0.6]),
        ("square sum", [0.81 + 0.01, 3 * 0.04]),
        ("cube sum", [0.729 + 0.001, 3 * 0.008]),
        ("log-sum-exp 0.2", [0.2 * np.log(np.exp([4.5, 0.5, -2.5]).sum()), 0.2 + 0.2 * np.log(3)]),
    ],
)
def test_similarities_add_up_over_the_history(name, expected):
    scores = AGGREGATIONS[name](SIMILARITY, chosen([0, 1, 2], []))
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)
    assert np.isfinite(scores[1]).all()
    assert scores[1, 0] == scores[1, 1]


def test_standardized_scores_leave_absent_candidates_at_the_mean():
    scores = np.array([[1.0, 3.0, 9.0], [2.0, 2.0, 5.0]], np.float32)
    z = standardized(scores, np.array([True, True, False]))
    np.testing.assert_allclose(z, [[-1, 1, 0], [0, 0, 0]])


def test_neighbours_refuse_a_catalogue_without_their_content():
    catalogue, split = board_split()
    for name in ("content-knn-image", "content-knn-text"):
        with pytest.raises(NotEnoughData, match="none of the 24 warm items has content"):
            build_ranker(name).fit(split.training_set(catalogue), seed=0)


def test_cold_words_do_not_reach_the_statistics_of_the_space():
    """A cold listing's text is from after the cutoff: no other score may change with it."""
    rows = board_rows()
    scores = []
    for title in ("oak chair 12", "quantum teapot"):
        catalogue = board()
        catalogue.frame.loc[catalogue.position["a16"], "title"] = title
        split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
        ranker = build_ranker("content-knn-tfidf")
        ranker.fit(split.training_set(catalogue), seed=0)
        users = np.arange(30)
        candidates = catalogue.index(["a12", "a13", "b12", "b13"])
        task = RankingTask(users, split.training.histories(users), candidates)
        scores.append(ranker.score(task))
    np.testing.assert_array_equal(scores[0], scores[1])


def test_popularity_of_a_new_item_is_that_of_its_nearest_warm_items():
    titles = {"w1": "red lamp", "w2": "red lamp", "w3": "blue vase", "new": "red lamp"}
    catalogue = titled(titles)
    rows = [(f"u{n}", "w1", n) for n in range(7)] + [("u0", "w2", 9), ("u1", "w3", 9)]
    rows += [("u0", "new", 101)]
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), CUTOFF, dated=True)
    ranker = PopularityRanker(neighbours=2)
    ranker.fit(split.training_set(catalogue), seed=0)
    users = np.array([0])
    everything = catalogue.index(["new", "w1", "w2", "w3"])
    scores = ranker.score(RankingTask(users, split.training.histories(users), everything))
    expected = [(np.log(8) + np.log(2)) / 2, np.log(8), np.log(2), np.log(2)]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)

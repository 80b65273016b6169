import numpy as np
import pytest

from benchmarks.peers.content import item_content
from benchmarks.peers.handmade import PairContent, PairFeatures
from benchmarks.peers.kept import Kept
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.splits import cutoff_split
from coldstart_models.peers.content import content_spaces
from tests.coldstart_models.checkerboard import CUTOFF, interactions_of, titled

TITLES = {
    "w1": "red lamp",
    "w2": "blue lamp",
    "w3": "oak chair",
    "n1": "red lamp",
    "n2": "oak table",
}
CATALOGUE = {
    "category": ["Light > Lamp", "Light > Lamp", "Seat > Chair", "Light > Lamp", None],
    "brand": ["a", None, "b", "a", "b"],
    "price": [10.0, 40.0, 5.0, 20.0, None],
}
ROWS = [("u1", "w1", 1), ("u1", "w2", 2), ("u2", "w3", 3), ("u2", "n2", 101), ("u1", "n1", 102)]


@pytest.fixture
def found():
    """Feature name → (U, C) values, users u1 and u2 by candidates n1 and n2."""
    catalogue = titled(TITLES, **CATALOGUE)
    split = cutoff_split(catalogue, interactions_of(ROWS, catalogue), CUTOFF, dated=True)
    training = split.training_set(catalogue)
    content = PairContent(
        content_spaces(catalogue, warm=training.warm),
        item_content(training, seed=0, kept=Kept()).full,
    )
    features = PairFeatures(training.interactions, content, catalogue, seed=0)
    ((rows, values),) = features.blocks(cold_pool(split).task)
    assert rows.tolist() == [0, 1]
    assert values.shape == (2, 2, len(features.names))
    assert values.dtype == np.float32
    return dict(zip(features.names, np.moveaxis(values, 2, 0), strict=True))


def test_the_history_is_compared_with_the_candidates_content(found):
    assert found["words max"][0, 0] > found["words max"][0, 1]
    assert found["words max"][1, 1] > found["words max"][1, 0]


def test_labels_are_shares_of_the_history_and_nothing_where_unknown(found):
    assert found["category"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert found["brand"].tolist() == [[0.5, 0.0], [0.0, 1.0]]


def test_prices_are_compared_in_logs_and_missing_where_unknown(found):
    assert found["price distance"][0, 0] == pytest.approx(0.0, abs=1e-6)
    assert found["price distance"][1, 0] == pytest.approx(np.log(4), rel=1e-5)
    assert np.isnan(found["price"][:, 1]).all()


def test_popularity_is_the_same_for_everybody_and_beside_the_other_candidates(found):
    np.testing.assert_array_equal(found["popularity"][0], found["popularity"][1])
    assert found["popularity"].mean() == pytest.approx(0.0, abs=1e-6)


def test_the_history_is_as_long_as_its_distinct_items(found):
    np.testing.assert_allclose(found["history"][:, 0], np.log1p([2, 1]), rtol=1e-6)

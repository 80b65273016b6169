import pandas as pd
import pytest

from coldstart_models.data.pools import cold_pool
from coldstart_models.errors import ConfigError
from coldstart_models.models import MODELS, build_ranker, find_model
from tests.coldstart_models.checkerboard import (
    board_split,
)


def test_the_models_are_those_a_benchmark_offers():
    assert list(MODELS) == [
        "random",
        "popularity",
        "content-knn-tfidf",
        "content-knn-text",
        "content-knn-image",
        "content-knn",
        "siamese",
        "siamese+meta",
        "siamese+date",
        "siamese+meta+date",
        "oracle",
    ]


def test_an_unknown_name_gets_the_nearest_known_one():
    with pytest.raises(ConfigError, match="'popularty'; did you mean 'popularity'"):
        find_model("popularty")
    with pytest.raises(ConfigError, match=r"did you mean 'siamese\+meta'"):
        build_ranker("siamese+mata")


def test_rankers_carry_the_name_they_are_asked_by():
    for name in ("random", "popularity", "content-knn-tfidf", "content-knn"):
        assert build_ranker(name).name == name


def test_the_oracle_needs_the_truth():
    with pytest.raises(ConfigError, match="marketplace"):
        build_ranker("oracle")


def test_the_oracle_names_the_first_pair_it_does_not_know():
    catalogue, split = board_split()
    truth = pd.DataFrame({"user_id": ["a-user00"], "item_id": ["a00"], "utility": [1.0]})
    oracle = build_ranker("oracle", truth=truth)
    oracle.fit(split.training_set(catalogue), seed=0)
    with pytest.raises(ConfigError, match=r"lacks 300 of 300 .* 'a-user00' and item 'a12'"):
        oracle.score(cold_pool(split).task)

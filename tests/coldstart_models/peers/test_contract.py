import numpy as np
import pandas as pd
import pytest

from coldstart_models.models import build_ranker
from tests.coldstart_models.checkerboard import WORDS, board_rows
from tests.coldstart_models.ranker_contract import RankerContract


def board_truth() -> pd.DataFrame:
    """Utility 1 where the item is of the user's group, less a little by number."""
    users = sorted({user for user, _, _ in board_rows()})
    items = sorted({item for _, item, _ in board_rows()})
    pairs = pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"])
    frame = pairs.to_frame(index=False)
    same = frame["user_id"].str[0] == frame["item_id"].str[0]
    return frame.assign(utility=same - frame["item_id"].str[1:].astype(float) / 100)


class TestRandom(RankerContract):
    @classmethod
    def build(cls):
        return build_ranker("random")

    def test_another_seed_gives_other_scores(self, world, fitted):
        task = world[2][0].task
        assert (self.fit(world, seed=1).score(task) != fitted.score(task)).all()


class TestPopularity(RankerContract):
    @classmethod
    def build(cls):
        return build_ranker("popularity")

    def test_everybody_sees_the_same_ranking(self, world, fitted):
        scores = fitted.score(world[2][0].task)
        np.testing.assert_array_equal(scores, np.tile(scores[0], (len(scores), 1)))


class TestOracle(RankerContract):
    @classmethod
    def build(cls):
        return build_ranker("oracle", truth=board_truth())


class PrefersItsGroup:
    name: str

    @classmethod
    def build(cls):
        return build_ranker(cls.name)

    @pytest.mark.parametrize("group", WORDS)
    def test_a_user_prefers_its_own_group(self, world, fitted, group):
        catalogue, split, pools = world
        task = pools[0].task
        items = catalogue.item_ids[task.candidates]
        users = np.array([user[0] == group for user in split.training.user_ids[task.user_index]])
        seen = np.array([self.name != "content-knn-image" or item != "b16" for item in items])
        own = np.array([item[0] == group for item in items])
        scores = fitted.score(task)[users]
        worst = scores[:, own & seen].min(axis=1)
        assert (worst > scores[:, ~own & seen].max(axis=1)).all()


class TestWords(PrefersItsGroup, RankerContract):
    name = "content-knn-tfidf"


class TestPhotos(PrefersItsGroup, RankerContract):
    name = "content-knn-image"

    def test_a_candidate_without_photo_is_neutral(self, world, fitted):
        catalogue, _, pools = world
        task = pools[0].task
        column = list(catalogue.item_ids[task.candidates]).index("b16")
        assert (fitted.score(task)[:, column] == 0).all()


class TestEnsemble(PrefersItsGroup, RankerContract):
    name = "content-knn"

import numpy as np
import pytest

from benchmarks.peers.registry import PUBLISHED
from tests.coldstart_models.ranker_contract import RankerContract


class PeerContract(RankerContract):
    """What every published peer keeps, at its default settings."""

    name: str

    @classmethod
    def build(cls):
        return PUBLISHED[cls.name].ranker()

    def test_its_name_is_the_one_it_is_asked_by(self, fitted):
        assert fitted.name == self.name

    @pytest.mark.parametrize("group", ["a", "b"])
    def test_users_prefer_new_items_of_their_own_group(self, world, fitted, group):
        catalogue, split, pools = world
        task = pools[0].task
        users = np.array([user[0] == group for user in split.training.user_ids[task.user_index]])
        own = np.array([item[0] == group for item in catalogue.item_ids[task.candidates]])
        scores = fitted.score(task)[users]
        preferred = scores[:, own].mean(axis=1) > scores[:, ~own].mean(axis=1)
        assert preferred.mean() > 0.9


class AdaptsContract(PeerContract):
    """What peers keep that learn from a new item's first customers."""

    def test_support_changes_the_scores_of_supported_items_alone(self, world, fitted):
        pool = next(pool for pool in world[2] if pool.shots == 1)
        plain = next(one for one in world[2] if one.name == pool.name and not one.shots)
        adapted, before = fitted.score(pool.task), fitted.score(plain.task)
        supported = np.isin(pool.task.candidates, pool.task.support.item_index)
        assert (adapted != before)[:, supported].any()
        np.testing.assert_allclose(adapted[:, ~supported], before[:, ~supported], rtol=1e-4)


class TestLightFM(PeerContract):
    name = "lightfm"


class TestAlsMap(PeerContract):
    name = "als-map"


class TestBoosted(PeerContract):
    name = "lightgbm"


class TestDropoutNet(PeerContract):
    name = "dropoutnet"


class TestCLCRec(PeerContract):
    name = "clcrec"


class TestMeLU(AdaptsContract):
    name = "melu"


class TestMetaEmbedding(AdaptsContract):
    name = "meta-embedding"


class TestAldi(PeerContract):
    name = "aldi"

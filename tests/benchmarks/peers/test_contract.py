from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks.peers.registry import PUBLISHED
from coldstart_models.data.pools import Pool, build_pools
from coldstart_models.data.splits import cutoff_split
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    START,
    WORDS,
    catalogue_of,
    interactions_of,
)
from tests.coldstart_models.ranker_contract import RankerContract
from validation import tables


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

    @pytest.mark.parametrize("shots", [1, 5])
    def test_support_lifts_the_chosen_items_where_content_does_not_tell_whose_they_are(
        self, untold, shots
    ):
        """At its default settings, in a world where who came first is all that tells."""
        ranker, pools = untold
        before, after = (
            place_of_the_chosen(np.round(ranker.score(pool.task), 4), pool)  # not by rounding
            for pool in pools
            if pool.name == f"cold>{shots}"
        )
        assert before == pytest.approx(0.5)  # all alike
        assert after > 0.65

    @pytest.fixture(scope="class")
    @classmethod
    def untold(cls):
        """A ranker, and pools of new items that are all called alike, as half of the old ones are;
        the others' titles tell which of two kinds of people choose them, 60 % of these each."""
        generator = np.random.default_rng(0)
        rows, events = [], []
        for number in range(64):
            kind, day = number % 2, number if number < 48 else 52 + number
            told = number < 48 and generator.random() < 0.5
            title = list(WORDS.values())[kind] if told else "thing"
            rows.append((f"i{number:02}", title, START + timedelta(days=day)))
            events += [
                (f"u{user:02}", f"i{number:02}", day + generator.random())
                for user in generator.permutation(40)
                if user % 2 == kind and generator.random() < 0.6
            ]
        columns = [tables.ITEM_ID, tables.TITLE, tables.LISTED_AT]
        catalogue = catalogue_of(pd.DataFrame(rows, columns=columns))
        split = cutoff_split(catalogue, interactions_of(events, catalogue), CUTOFF, dated=True)
        ranker = cls.build()
        ranker.fit(split.training_set(catalogue), seed=0)
        return ranker, build_pools(split, shots=[1, 5], seed=0)[0]


def place_of_the_chosen(scores, pool: Pool) -> float:
    """Mean share of a user's other candidates that a chosen one is above; ties count half."""
    places = []
    for own, chosen, excluded in zip(
        scores, pool.chosen.toarray(), pool.excluded.toarray(), strict=True
    ):
        others = own[~chosen & ~excluded]
        above = (own[chosen][:, None] > others).mean() + (own[chosen][:, None] == others).mean() / 2
        places.append(above)
    return float(np.mean(places))


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

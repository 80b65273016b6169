"""Two models side by side: the one that was trained before ranks as it did."""

from pathlib import Path

import numpy as np
import pytest

from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ArtifactError
from coldstart_models.experiments import challenger
from coldstart_models.experiments.challenger import load_challenger
from coldstart_models.recommending import Recommender
from coldstart_models.training_job import train_job
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from tests.coldstart_models.test_training_job import home_of, unordered_shop
from tests.feature_repo.samples import NOW
from validation import tables

HISTORY = UserHistory(("i00", "i03", "i06"), ("purchase",) * 3, (NOW,) * 3)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return home_of(unordered_shop(), Path(tmp_path_factory.mktemp("shop")))


def scores(recommender: Recommender) -> list[float]:
    return recommender.score(HISTORY, [f"i{number:02d}" for number in range(60)])


def test_the_model_before_ranks_as_it_did_and_takes_in_what_comes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_job(home=home, now=NOW, seed=0).tag
    before = scores(Recommender.load(home))
    second = train_job(home=home, now=NOW, seed=1).tag
    served = Recommender.load(home)
    assert served.tag == second
    other = load_challenger(home, tag=first)
    assert other.tag == first
    assert scores(other) == pytest.approx(before, abs=1e-5)

    served.lead([other])
    catalogue = load_catalogue(home)
    like = catalogue.take(np.array([0]))
    items = like.frame.assign(**{tables.ITEM_ID: ["new"]})
    assert not other.serves("new")
    served.add_listings(items, like.image, like.text)
    assert other.serves("new")
    served.adapt("new", [HISTORY] * 3, moments=[0.0, 1.0, 2.0])
    (learned,) = other.score(HISTORY, ["new"])
    assert [one.support for one in other.recommend(HISTORY, k=99) if one.item_id == "new"] == [3]
    assert np.isfinite(learned)

    monkeypatch.setattr(challenger, "KEPT_MODELS", 1)
    train_job(home=home, now=NOW, seed=2)
    with pytest.raises(ArtifactError, match=f"vectors of {first} are not kept"):
        load_challenger(home, tag=first)

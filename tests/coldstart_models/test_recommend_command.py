"""`coldstart recommend`: each of its options changes what is recommended, and as it says."""

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from coldstart_models.training_job import train_job
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.store import Store
from tests.coldstart_models.test_training_job import home_of, unordered_shop
from tests.feature_repo.samples import NOW

KNOWN = [f"i{number:02d}" for number in range(30)]
NEW = [f"n{number:02d}" for number in range(15)]
CATEGORY = {one: ("Home > Lamps", "Home > Rugs")[int(one[1:]) % 2] for one in [*KNOWN, *NEW]}
PRICE = {one: 10.0 + int(one[1:]) for one in [*KNOWN, *NEW]}
CHOSEN = {f"i{3 * step:02d}" for step in range(8)}
"""By the user u00."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Thirty known listings and fifteen new ones, with a model, and the histories online."""
    shop = unordered_shop(things=30, users=20)
    new = pd.DataFrame({"item_id": NEW, "title": "a lamp or a rug", "source": "shop"})
    items = pd.concat([shop.items, new], ignore_index=True)
    items = items.assign(
        category=items["item_id"].map(CATEGORY), price=items["item_id"].map(PRICE), currency="EUR"
    )
    home = home_of(replace(shop, items=items), tmp_path_factory.mktemp("trained"))
    train_job(home=home, now=NOW)
    Store(home).materialize()
    return home


@pytest.fixture
def recommended(coldstart: Any, trained: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command recommends u00, or who else is named last: a score of each listing."""
    monkeypatch.setenv(HOME_VARIABLE, str(trained.root))

    def run(*options: str) -> dict[str, float]:
        code, out, err = coldstart("recommend", "--user", "u00", *options, "--json")
        assert code == 0, err
        return {one["item_id"]: one["score"] for one in json.loads(out)["recommendations"]}

    return run


def test_ten_new_listings_are_recommended_and_as_many_as_are_asked_for(recommended: Any) -> None:
    ten = recommended()
    assert len(ten) == 10
    assert ten.keys() < set(NEW)
    assert list(recommended("-k", "3")) == list(ten)[:3]
    assert recommended("-k", "100").keys() == set(NEW)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {*KNOWN, *NEW}),
        (("--category", "home > lamps"), {one for one in CATEGORY if int(one[1:]) % 2 == 0}),
        (("--max-price", "19.5"), {one for one in PRICE if int(one[1:]) < 10}),
    ],
    ids=["all", "category", "price"],
)
def test_all_that_fits_is_ranked_but_what_the_person_chose(
    recommended: Any, options: tuple[str, ...], expected: set[str]
) -> None:
    assert recommended("--pool", "all", "-k", "100", *options).keys() == expected - CHOSEN


def test_from_the_general_to_the_personal(recommended: Any) -> None:
    general, personal = (
        [recommended("--user", user, "--personal", place) for user in ("u00", "u01")]
        for place in ("0", "1")
    )
    assert general[0] == general[1]
    assert personal[0] != personal[1]


def test_what_is_told_names_the_person_and_the_model(
    coldstart: Any, trained: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(trained.root))
    code, out, _ = coldstart("recommend", "--user", "u00", "-k", "1")
    assert code == 0
    assert "For u00, by coldstart-siamese:" in out
    _, out, _ = coldstart("recommend", "--user", "u00", "-k", "1", "--json")
    told = json.loads(out)
    (best,) = told.pop("recommendations")
    assert (told["user_id"], told["fallback"], best["is_new"]) == ("u00", None, True)
    assert told["model"].startswith("coldstart-siamese:")

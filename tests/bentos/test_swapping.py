"""Another model takes the served one's place while requests are answered, or is refused."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from bentos.recommender.swapping import Meanwhile
from coldstart_models.artifacts import find_model, save_model
from coldstart_models.errors import ArtifactError
from coldstart_models.recommendations import Recommendation
from coldstart_models.served_model import choose, go_back
from coldstart_models.user_history import UserHistory
from feature_repo.erasure import journal
from feature_repo.home import Home
from feature_repo.listing_changes import record
from tests.bentos.conftest import CONTRACT
from tests.bentos.fakes import (
    PRIOR,
    CountingRecommender,
    MemoryStore,
    colour_encoders,
)
from validation import tables

CHOSEN_AT = datetime(2026, 3, 1, tzinfo=UTC)


class Named(CountingRecommender):
    """A stand-in of any tag, which leads its followers as a recommender does."""

    def __init__(self, tag: str) -> None:
        super().__init__(PRIOR)
        self.tag = tag
        self.followers = []
        self.entered: threading.Event | None = None
        self.leave: threading.Event | None = None

    def recommend(self, history: UserHistory, **asked: Any) -> list[Recommendation]:
        if self.entered and self.leave:
            self.entered.set()
            assert self.leave.wait(20)
        return super().recommend(history, **asked)

    def add_listings(self, items: pd.DataFrame, image: Any, text: Any) -> pd.DataFrame:
        for follower in self.followers:
            follower.add_listings(items, image, text)
        return super().add_listings(items, image, text)

    def remove_listings(self, item_ids: Collection[str]) -> None:
        for follower in self.followers:
            follower.remove_listings(item_ids)
        super().remove_listings(item_ids)


class Loading:
    """What `load_served` gives by tag, and what happens while it loads."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.wrong: dict[str, Exception] = {}
        self.loaded: list[str] = []

    def __call__(self, home: Home, *, tag: str) -> Named:
        self.loaded.append(tag)
        self.meanwhile()
        if tag in self.wrong:
            raise self.wrong[tag]
        return Named(tag)


@pytest.fixture
def recommender(home: Home) -> Named:
    return Named(find_model(home).tag)


@pytest.fixture
def other(home: Home, tmp_path: Path, service: Any) -> str:
    """A second model, trained after the service started on the first."""
    return save(home, tmp_path / "second")


def save(home: Home, folder: Path, **changes: object) -> str:
    folder.mkdir()
    (folder / "weights.json").write_text("{}")
    return save_model(folder, contract=replace(CONTRACT, **changes), metadata={}, home=home)


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch, service: Any) -> Loading:
    found = Loading()
    monkeypatch.setattr("coldstart_models.served_recommender.load_served", found)
    service._encoders = colour_encoders()
    return found


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, service: Any) -> None:
    """Only the test lets the service look."""
    monkeypatch.setattr(service, "start_following", lambda: None)


@pytest.fixture
def client(quiet: None, client: TestClient) -> Iterator[TestClient]:
    return client  # type: ignore[return-value]


def model_of(client: TestClient) -> str:
    return str(client.post("/recommend", json={"user_id": "ann", "k": 1}).json()["model"])


def swaps(outcome: str) -> float:
    return REGISTRY.get_sample_value("coldstart_model_swaps_total", {"outcome": outcome}) or 0.0


def test_a_chosen_model_is_served_and_a_rollback_brings_the_old_one_back(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    first, before = model_of(client), swaps("swapped")
    assert first != other
    service.follow_choice()
    assert model_of(client) == first  # trained later, but nobody chose it

    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert model_of(client) == other
    for path, body in (
        ("/score", {"user_id": "ann", "item_ids": ["sofa"]}),
        ("/explain", {"user_id": "ann", "item_id": "sofa"}),
        ("/similar", {"item_id": "sofa"}),
        ("/popular", {}),
        ("/status", {}),
    ):
        assert client.post(path, json=body).json()["model"] == other, path

    assert go_back(home, now=CHOSEN_AT).tag == first
    service.follow_choice()
    service.follow_choice()
    assert model_of(client) == first
    assert loading.loaded == [other, first]
    assert swaps("swapped") == before + 2


def test_a_request_ends_on_the_model_that_it_began_with(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading, recommender: Named
) -> None:
    recommender.entered, recommender.leave = threading.Event(), threading.Event()
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(model_of(client)))
    asking.start()
    assert recommender.entered.wait(20)
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert model_of(client) == other  # beside the one that is under way
    recommender.leave.set()
    asking.join(20)
    assert answers == [recommender.tag]


def test_the_old_model_goes_when_nobody_uses_it(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    first = find_model(home, tag=model_of(client)).tag
    for tag in (other, first):
        gone = weakref.ref(service.recommender)
        if tag == first:  # the fixture's own reference holds the very first one
            gc.disable()
        try:
            choose(home, tag=tag, now=CHOSEN_AT)
            service.follow_choice()
            held = gone()
        finally:
            gc.enable()
        assert service.recommender.tag == tag
    assert held is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"text_encoder": "minilm", "text_encoder_hash": "b"}, "text_encoder: the model was"),
        ({"feature_service": "coldstart_v9"}, "feature_service: the model reads 'coldstart_v9'"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_the_old_one_goes_on(
    client: TestClient,
    service: Any,
    home: Home,
    tmp_path: Path,
    loading: Loading,
    wrong: dict[str, object],
    told: str,
) -> None:
    first, before = model_of(client), swaps("refused")
    misfit = save(home, tmp_path / "misfit", **wrong)
    choose(home, tag=misfit, now=CHOSEN_AT)
    service.follow_choice()
    service.follow_choice()

    assert model_of(client) == first
    assert loading.loaded == []
    assert swaps("refused") == before + 1  # looked at once, until it is chosen again
    status = client.post("/status", json={}).json()
    assert (status["model"], status["refused_model"]) == (first, misfit)
    assert told in status["refused_because"]

    go_back(home, now=CHOSEN_AT)
    service.follow_choice()
    assert client.post("/status", json={}).json()["refused_model"] is None


@pytest.mark.parametrize("error", [ArtifactError("it is torn"), OSError("it is torn")])
def test_a_model_that_cannot_be_loaded_is_tried_again_when_it_is_chosen_again(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading, error: Exception
) -> None:
    first = model_of(client)
    loading.wrong[other] = error
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert model_of(client) == first
    assert client.post("/status", json={}).json()["refused_because"] == "it is torn"

    loading.wrong.clear()
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert model_of(client) == other


def test_a_choice_that_cannot_be_read_changes_nothing(
    client: TestClient, service: Any, home: Home
) -> None:
    first = model_of(client)
    home.served_model.write_text("{")
    service.follow_choice()
    assert model_of(client) == first
    told = client.post("/status", json={}).json()["refused_because"]
    assert "choose again: `coldstart models use TAG`" in told


def test_a_model_with_scores_that_are_no_numbers_is_refused(
    client: TestClient,
    service: Any,
    home: Home,
    other: str,
    loading: Loading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = model_of(client)
    monkeypatch.setattr(Named, "score", lambda self, history, ids, **_: [float("nan")] * len(ids))
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    monkeypatch.undo()
    assert "expected finite numbers" in client.post("/status", json={}).json()["refused_because"]
    assert model_of(client) == first


def test_what_comes_while_a_model_is_loaded_is_in_both(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    new = {"item_id": "vase", "title": "Blue vase", "price": 20.0}

    def take() -> None:
        assert client.post("/listings", json={"listings": [new]}).json()["accepted"] == ["vase"]
        assert client.post("/listings/delete", json={"item_ids": ["chair"]}).status_code == 200

    loading.meanwhile = take
    old = service.recommender
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert service.recommender.tag == other
    assert sorted(service.recommender.prior) == sorted(old.prior) == ["lamp", "sofa", "vase"]
    assert old.followers == []  # it takes nothing in any more


def test_what_another_process_lists_while_a_model_is_loaded_is_taken_up(
    client: TestClient,
    service: Any,
    home: Home,
    other: str,
    loading: Loading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[list[str]] = []
    monkeypatch.setattr(
        "coldstart_models.served_recommender.take_up_changes",
        lambda ids, *, recommender, **_: taken.append([recommender.tag, *sorted(ids)]),
    )
    loading.meanwhile = lambda: record(home, ["rug", "vase"])
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    service.follow_choice()
    service.follow_choice()
    assert taken == [[other, "rug", "vase"]]


def test_a_new_model_serves_from_its_first_answer_what_others_listed_while_it_was_loaded(
    client: TestClient,
    service: Any,
    store: MemoryStore,
    home: Home,
    other: str,
    loading: Loading,
) -> None:
    def listed_elsewhere() -> None:
        items = tables.ITEMS.to_pandas(pq.read_table(home.items))
        rug = items.iloc[:1].assign(item_id="rug", title="Wool rug")
        pq.write_table(tables.ITEMS.to_arrow(pd.concat([items, rug])), home.items)
        store.rows["item_vector"] = {"rug": {"vector": [1.0, 1.0], "model": other}}
        record(home, ["rug"])

    loading.meanwhile = listed_elsewhere
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert service.recommender.tag == other
    assert "rug" in service.recommender.prior


def test_a_refused_model_leaves_the_served_one_without_followers(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    loading.wrong[other] = ArtifactError("torn")
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert service.recommender.followers == []


def test_a_process_that_was_told_its_model_keeps_it(
    client: TestClient,
    service: Any,
    home: Home,
    other: str,
    loading: Loading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = model_of(client)
    monkeypatch.setenv("COLDSTART_MODEL", first)
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert model_of(client) == first


def test_encoders_change_with_the_model_and_stay_where_they_are_the_same(
    client: TestClient,
    service: Any,
    home: Home,
    other: str,
    loading: Loading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    had = service._encoders
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert service._encoders is had

    # The features changed encoders, and the served model was trained on the ones before.
    theirs = colour_encoders()
    monkeypatch.setattr("bentos.recommender.swapping.load_encoders", lambda *_, **__: theirs)
    before = replace(service._serving.contract, text_encoder="old", text_encoder_hash="a")
    service._serving = replace(service._serving, contract=before)
    go_back(home, now=CHOSEN_AT)
    service.follow_choice()
    assert service._encoders is theirs

    service._serving = replace(service._serving, contract=before)
    calls = Meanwhile()
    calls.add_listings(pd.DataFrame(), None, None)
    loading.meanwhile = lambda: service.recommender.followers[-1].add_listings(
        pd.DataFrame(), None, None
    )
    served = service.recommender.tag
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert service.recommender.tag == served  # loaded again at the next look
    loading.meanwhile = lambda: None
    service.follow_choice()
    assert service.recommender.tag == other


def test_a_person_is_erased_while_a_model_is_loaded(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    answers = []
    loading.meanwhile = lambda: answers.append(
        client.post("/users/erase", json={"user_id": "ann"}).status_code
    )
    choose(home, tag=other, now=CHOSEN_AT)
    service.follow_choice()
    assert answers == [200]
    assert service.recommender.tag == other
    assert journal.pending(home) is None


def test_readers_never_see_a_mixture(
    client: TestClient, service: Any, home: Home, other: str, loading: Loading
) -> None:
    """Under requests from four threads every answer is 200 and of one of the two models.

    Each that is chosen answers before the next one is.
    """
    first, stop = model_of(client), threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def ask() -> None:
        while not stop.is_set():
            answer = client.post("/recommend", json={"user_id": "ann", "k": 2})
            if answer.status_code != 200:
                wrong.append(answer.text)
                return
            seen.add(answer.json()["model"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for chosen in (other, first) * 3:
            choose(home, tag=chosen, now=CHOSEN_AT)
            service.follow_choice()
            seen.clear()
            until = time.monotonic() + 20
            while chosen not in seen and not wrong:
                assert time.monotonic() < until
                time.sleep(0.001)
            assert seen <= {first, other}
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert wrong == []

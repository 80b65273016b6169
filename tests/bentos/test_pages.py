"""Explored pages and experiments through the service: what is shown is what is logged."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from starlette.testclient import TestClient

from bentos.recommender import payloads
from bentos.recommender.service import RecommenderService
from coldstart_models.experiments.bucketing import Experiment, Variant
from coldstart_models.exploration.exploring import seed_of
from coldstart_models.exploration.linucb import LinUCB
from coldstart_models.exploration.policy import Arms
from coldstart_models.exploration.propensity import page_chances
from coldstart_models.exploration.thompson import Thompson
from feature_repo import page_exposures, page_log
from feature_repo.erasure.kept_files import drop_pages
from feature_repo.home import Home
from feature_repo.page_exposures import ExploredExposures
from feature_repo.page_log import read_pages
from tests.bentos.fakes import CountingRecommender, MemoryStore
from validation.whole_files import alone

EXPLORE = '[explore]\npolicy = "thompson"\nper_listing = 3\nfloor = 0.5\n'
EXPERIMENT = """
[experiment]
name = "blend"
variants = [
  {name = "control"},
  {name = "explored", policy = "linucb", personal = 0.25},
  {name = "other", model = "coldstart-siamese:other"},
]
"""
BLEND = Experiment(
    "blend", (Variant("control"), Variant("explored"), Variant("other")), salt="blend"
)
SHOP = {f"item-{number:02d}": number / 100 for number in range(12)}


@pytest.fixture
def other() -> CountingRecommender:
    """Another model, which likes the other end of the shop."""
    made = CountingRecommender({item_id: -prior for item_id, prior in SHOP.items()})
    made.tag = "coldstart-siamese:other"
    return made


@pytest.fixture
def recommender() -> CountingRecommender:
    return CountingRecommender(SHOP)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "coldstart.toml"
    monkeypatch.setenv("COLDSTART_CONFIG", str(path))
    path.write_text(EXPLORE)
    return path


@pytest.fixture
def service(
    configured: Path,
    home: Home,
    store: MemoryStore,
    recommender: CountingRecommender,
    other: CountingRecommender,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    def load(home: Home, *, tag: str) -> CountingRecommender:
        assert tag == other.tag
        return other

    monkeypatch.setattr("feature_repo.store.Store", lambda _: store)
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load", lambda home, tag: recommender
    )
    monkeypatch.setattr("coldstart_models.experiments.challenger.load_challenger", load)
    return RecommenderService.inner()


def explored(home: Home) -> dict[str, int]:
    """How often each listing was, as who begins to read the log counts it."""
    return ExploredExposures(home).look()


def ask(client: TestClient, **request: Any) -> dict[str, Any]:
    answer = client.post("/recommend", json={"user_id": "ann", "k": 4, **request})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_page_is_logged_as_it_was_shown_and_its_draw_can_be_repeated(
    client: TestClient, home: Home
) -> None:
    body = ask(client)
    (page,) = read_pages(home)
    shown = body["items"]
    assert page.page_id == body["page_id"]
    assert page.item_ids == tuple(item["item_id"] for item in shown)
    assert page.propensities == pytest.approx([item["propensity"] for item in shown])
    assert [item["explored"] for item in shown] == [False, False, False, True]
    assert page.explored == (4,)
    assert page.item_ids[:3] == ("item-11", "item-10", "item-09")
    assert page.item_ids[3] == page.arm_ids[page.drawn[0]]
    assert page.policy == Thompson(floor=0.5).policy_id
    assert (page.user_id, page.session_id, page.experiment) == ("ann", None, None)
    assert page.arm_scores is not None
    assert page.arm_directions is not None
    chances = page_chances(
        Thompson(floor=0.5),
        Arms(page.arm_scores, page.arm_directions),
        page.drawn,
        rng=np.random.default_rng(seed_of(page.page_id)),
    )
    assert chances[0, page.drawn[0]] == pytest.approx(page.propensities[3])


def test_a_listing_is_explored_no_more_than_its_budget_allows_also_after_a_restart(
    client: TestClient, home: Home
) -> None:
    for _ in range(20):
        ask(client)
    exposures = explored(home)
    assert max(exposures.values()) <= 3
    assert sum(exposures.values()) == 20
    again = RecommenderService.inner()
    budget = again._lanes.default.explorer.budget
    assert {item_id: budget.left(item_id) for item_id in exposures} == {
        item_id: 3 - count for item_id, count in exposures.items()
    }


def test_exposures_of_full_files_are_counted_once_and_again_after_an_erasure(
    client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 3_000)
    for number in range(8):
        ask(client, user_id=f"user-{number % 2}", session=[{"item_id": "item-05"}])
    read = list[str]()
    of_file = page_exposures._of_file

    def watched(file: BinaryIO) -> dict[str, int]:
        read.append(file.name)
        return of_file(file)

    monkeypatch.setattr(page_exposures, "_of_file", watched)
    exposures = explored(home)
    assert sum(exposures.values()) == 8
    assert len(read) > 1
    read.clear()
    assert explored(home) == exposures
    assert read == []
    assert drop_pages(home, "user-0", session_ids=()) == 4
    assert sum(explored(home).values()) == 4
    (home.served / page_exposures.EXPOSURES).write_text("")
    assert sum(explored(home).values()) == 4


def explored_by(service: Any, times: int) -> None:
    asked = payloads.RecommendRequest.model_validate({"user_id": "ann", "k": 4})
    for _ in range(times):
        assert any(one.explored for one in service.recommend(asked).items)


def test_workers_of_one_folder_share_a_budget_up_to_what_is_shown_between_two_looks(
    service: Any, home: Home
) -> None:
    workers = [service, RecommenderService.inner(), RecommenderService.inner()]
    assert all("exposures" in worker.looks() for worker in workers)
    for _ in range(9):  # of 9 × 3 exposures that the nine new listings may get
        for worker in workers:
            explored_by(worker, 1)
            for other in workers:
                other.count_explored()
    exposures = explored(home)
    assert sum(exposures.values()) == 27
    assert max(exposures.values()) <= 3


def test_a_reader_of_exposures_reads_on_through_full_files_and_erasures(
    service: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ExploredExposures(home)
    assert reader.look() == {}
    monkeypatch.setattr(page_log, "FILE_BYTES", 3_000)
    for number in range(12):
        explored_by(service, number % 3)
        told = reader.look()
        exposures = explored(home)
        assert told.items() <= exposures.items()
        assert bool(told) == bool(number % 3)
        assert reader._counts == exposures
    assert len(list(home.served.glob("pages.*.jsonl"))) > 2
    drop_pages(home, "ann", session_ids=())
    assert reader.look() == {}
    assert reader._counts == explored(home) == {}


def test_pages_are_logged_while_a_reader_reads_the_full_files(
    service: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 3_000)
    explored_by(service, 16)
    of_file, beside = page_exposures._of_file, list[str]()

    def meanwhile(file: BinaryIO) -> dict[str, int]:
        with alone(home.served / f".{page_log.CURRENT}.lock", wait=False):
            beside.append(file.name)
        explored_by(service, 1)  # some of these number the files anew
        return of_file(file)

    monkeypatch.setattr(page_exposures, "_of_file", meanwhile)
    reader = ExploredExposures(home)
    reader.look()
    assert len(beside) > 1
    reader.look()
    assert sum(reader._counts.values()) == 16 + len(beside)
    monkeypatch.setattr(page_exposures, "_of_file", of_file)
    assert reader._counts == explored(home)


def test_a_page_is_counted_once_it_is_whole(service: Any, home: Home) -> None:
    explored_by(service, 2)
    path = home.served / page_log.CURRENT
    whole = path.read_bytes()
    reader = ExploredExposures(home)
    path.write_bytes(whole[:-20])
    assert sum(reader.look().values()) == 1
    path.write_bytes(whole)
    assert sum(reader._counts.values()) == 1
    reader.look()
    assert sum(reader._counts.values()) == 2


def test_nothing_is_explored_and_no_page_is_kept_unless_asked_for(
    configured: Path, service: Any
) -> None:
    assert service._lanes.logged
    assert "exposures" in service.looks()
    configured.write_text("")
    plain = RecommenderService.inner()
    assert not plain._lanes.logged
    assert plain._lanes.default.explorer is None


@pytest.mark.usefixtures("home")
class TestExperiment:
    """The service under an experiment of three variants."""

    @pytest.fixture
    def configured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "coldstart.toml"
        monkeypatch.setenv("COLDSTART_CONFIG", str(path))
        path.write_text(EXPERIMENT)
        return path

    def test_variants_differ_by_policy_blend_and_model(
        self,
        client: TestClient,
        home: Home,
        store: MemoryStore,
        recommender: CountingRecommender,
        other: CountingRecommender,
    ) -> None:
        history = store.rows["user_history"]["ann"]
        other.snapshot_version = "snapshot-7"
        seen: dict[str, list[str]] = {}
        told: dict[str, set[tuple[str, str]]] = {}
        for number in range(30):
            user = f"user-{number}"
            store.rows["user_history"][user] = history
            body = ask(client, user_id=user)
            variant = BLEND.variant_of(user)
            assert variant is not None
            assert body["variant"] == variant.name
            seen.setdefault(variant.name, []).append(user)
            told.setdefault(variant.name, set()).add((body["model"], body["snapshot"]))
        assert set(seen) == {"control", "explored", "other"}
        pages = {page.user_id: page for page in read_pages(home)}
        assert len(pages) == 30
        for user in seen["control"]:
            assert pages[user].item_ids == ("item-11", "item-10", "item-09", "item-08")
            assert (pages[user].policy, pages[user].personal) == (None, None)
        for user in seen["explored"]:
            assert pages[user].policy == LinUCB().policy_id
            assert pages[user].personal == 0.25
            assert pages[user].explored == (4,)
        assert told["other"] == {(other.tag, other.snapshot_version)}
        assert told["control"] == {(recommender.tag, recommender.snapshot_version)}
        for user in seen["other"]:
            assert pages[user].item_ids == ("item-00", "item-01", "item-02", "item-03")
            assert pages[user].model == other.tag
        assert recommender.followers == [other]

    def test_a_person_stays_and_a_session_without_a_user_is_told_by_its_id(
        self, client: TestClient, home: Home
    ) -> None:
        told = {ask(client)["variant"] for _ in range(5)}
        assert len(told) == 1
        session = [{"item_id": "item-05"}]
        by_session = ask(client, user_id=None, session=session, session_id="visit-9")
        assert by_session["variant"] == BLEND.variant_of("visit-9").name  # type: ignore[union-attr]
        *_, page = read_pages(home)
        assert (page.user_id, page.session_id) == (None, "visit-9")
        nobody = ask(client, user_id=None, session=session)
        assert nobody["variant"] is None

    def test_a_requests_own_blend_goes_before_the_variants(
        self, client: TestClient, home: Home, recommender: CountingRecommender
    ) -> None:
        user = next(
            f"u{n}"
            for n in range(99)
            if BLEND.variant_of(f"u{n}").name == "explored"  # type: ignore[union-attr]
        )
        ask(client, user_id=user, personal=0.75)
        (page,) = read_pages(home)
        assert page.personal == 0.75

    def test_what_is_asked_about_a_page_is_answered_by_the_lane_that_made_it(
        self, client: TestClient, store: MemoryStore, other: CountingRecommender
    ) -> None:
        other.snapshot_version = "snapshot-7"
        history = store.rows["user_history"]["ann"]
        seen = set()
        for number in range(12):
            who: dict[str, Any] = {"user_id": f"user-{number}"}
            if number % 2:  # an anonymous visit
                who = {"session": [{"item_id": "item-05"}], "session_id": f"visit-{number}"}
            else:
                store.rows["user_history"][f"user-{number}"] = history
            page = client.post("/recommend", json={**who, "k": 4, "exclude_seen": False}).json()
            seen.add(page["variant"])
            for place, item in enumerate(page["items"][:3], start=1):
                about = {**who, "item_id": item["item_id"]}
                told = client.post("/explain", json=about).json()
                assert told["score"] == pytest.approx(item["score"])
                parts = sum(part["value"] for part in told["contributions"])
                assert parts == pytest.approx(item["score"])
                scored = client.post("/score", json={**who, "item_ids": [item["item_id"]]}).json()
                assert scored["scores"][0]["score"] == pytest.approx(item["score"])
                stands = client.post("/place", json=about).json()
                assert stands["place"] == place
                for answer in (told, scored, stands):
                    assert answer["model"] == page["model"]
                    assert answer["snapshot"] == page["snapshot"]
        assert seen == {"control", "explored", "other"}

    def test_a_requests_own_blend_goes_before_the_variants_in_what_is_asked_about_a_page(
        self, client: TestClient
    ) -> None:
        names = (f"visit-{number}" for number in range(99))
        visit = next(one for one in names if BLEND.variant_of(one).name == "explored")  # type: ignore[union-attr]
        who = {"session": [{"item_id": "item-05"}], "session_id": visit}
        told = {
            personal: client.post(
                "/explain", json={**who, "item_id": "item-05", "personal": personal}
            ).json()["score"]
            for personal in (None, 0.25, 0.75)
        }
        assert told[None] == told[0.25] == pytest.approx(0.25 * 1.05)
        assert told[0.75] == pytest.approx(0.75 * 1.05)

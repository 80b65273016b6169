"""Events and listings that arrive over HTTP: taken in once, the bad beside the good."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bentos.recommender import payloads
from bentos.recommender.service import RecommenderService
from coldstart_models.listing_encoders import ListingEncoders
from feature_repo.errors import StoreError
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.jobs import photo_text
from feature_repo.jobs.transaction import locked
from tests.bentos.fakes import (
    CLICK,
    ColourEncoder,
    CountingRecommender,
    MemoryStore,
    colour_encoders,
)
from validation import engine, history, tables
from validation.alignment import Alignment

VASE = {"item_id": "vase", "title": "Blue vase", "price": 20.0, "currency": "EUR"}


@pytest.fixture(autouse=True)
def encoders(service: Any) -> None:
    service._encoders = colour_encoders()


def post_events(client: TestClient, *events: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/events", json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def post_listings(client: TestClient, *listings: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/listings", json={"listings": list(listings)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def log(home: Home) -> pd.DataFrame:
    return event_log(home).read().to_pandas()


def photo(colour: tuple[int, int, int]) -> bytes:
    """A photo with some structure: left half one colour, right half another."""
    image = Image.new("RGB", (96, 96), colour)
    image.paste((30, 60, 90), (48, 0, 96, 96))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_an_event_reaches_the_log_and_the_users_next_request(
    client: TestClient, home: Home
) -> None:
    taken = post_events(client, CLICK)

    assert taken["accepted"] == ["e1"]
    assert taken["users"] == 1
    assert list(log(home)[tables.EVENT_ID]) == ["e1"]
    scored = client.post("/score", json={"user_id": "bob", "item_ids": ["sofa"]}).json()
    assert scored["scores"] == [{"item_id": "sofa", "score": 1.75, "deviation": 0.25}]


def test_the_gate_is_loaded_before_the_first_listing_comes(service: Any) -> None:
    engine.context.cache_clear()
    service._warm()
    assert engine.context.cache_info().currsize == 1


def test_a_text_without_end_is_refused_by_its_field_before_the_gate_reads_it(
    client: TestClient, home: Home
) -> None:
    for field, value in (("title", "x" * 50_001), ("attributes", {"colour": ["x" * 50_001]})):
        answer = client.post("/listings", json={"listings": [{**VASE, field: value}]})
        assert answer.status_code == 400, answer.text
        assert "50,000 characters" in answer.json()["error"]
    assert post_listings(client, {**VASE, "description": "@a." * 16_000})["accepted"] == ["vase"]


def test_listings_that_come_while_others_are_encoded_are_kept_and_compared_with(
    service: Any, home: Home
) -> None:
    def taken(by: Any, listing: dict[str, Any]) -> Any:
        return by.listings(payloads.ListingsRequest.model_validate({"listings": [listing]}))

    other = RecommenderService.inner()
    other._encoders = colour_encoders()
    content = base64.b64encode(photo((200, 40, 40))).decode()
    twin = {"item_id": "twin", "title": "Red bowl", "price": 9.0, "photo_base64": content}
    came: list[str] = []

    class Interrupted(ColourEncoder):
        """Another worker takes a listing in meanwhile."""

        def forward(self, batch: Any) -> Any:
            if not came:
                came.extend(taken(other, twin).accepted)
            return super().forward(batch)

    service._encoders = ListingEncoders(Interrupted("image"), ColourEncoder("text"))
    told = taken(service, {**VASE, "photo_base64": content})
    assert (came, told.accepted) == (["twin"], ["vase"])
    assert "twin" in str(told.warnings)
    listed = pq.read_table(home.items)[tables.ITEM_ID].to_pylist()
    assert sorted(listed) == ["chair", "lamp", "sofa", "twin", "vase"]


def test_following_other_processes_outlives_every_error_and_waits_longer_after_each(
    service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Stopped(BaseException):
        pass

    class BugError(Exception):
        pass

    class SilentError(StoreError):
        pass

    errors = [BugError("a bug"), SilentError("no answer"), OSError("disk"), None, BugError("more")]
    outcomes = iter(errors)
    pauses: list[float] = []

    def wait(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) > len(errors):
            raise Stopped

    def follow() -> None:
        error = next(outcomes)
        if error is not None:
            raise error

    service.follow = follow
    with pytest.raises(Stopped):
        service._follow(wait)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 0.5, 1.0]
    told = [record for record in caplog.records if "is not taken up now" in record.message]
    assert [bool(record.exc_info) for record in told] == [True, False, True, True]
    assert "next try in 1 s: a bug" in told[0].message
    metrics = generate_latest().decode()
    assert 'coldstart_follow_failures_total{error="BugError"} 2.0' in metrics
    assert 'coldstart_follow_failures_total{error="SilentError"} 1.0' in metrics


def test_the_same_event_id_again_changes_nothing(
    client: TestClient, home: Home, store: MemoryStore
) -> None:
    post_events(client, CLICK)
    row = dict(store.rows["user_history"]["bob"])

    again = post_events(client, {**CLICK, "event_type": "purchase"}, CLICK)

    assert again["accepted"] == []
    assert sorted(again["duplicates"]) == ["e1", "e1"]
    assert len(log(home)) == 1
    assert store.rows["user_history"]["bob"]["history_item_ids"] == ["sofa"]
    assert store.rows["user_history"]["bob"]["event_count"] == row["event_count"] == 1


def test_events_wait_for_an_ingest_and_none_is_lost(client: TestClient, home: Home) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(home.events.parent):
            sent = pool.submit(post_events, client, CLICK)
            with pytest.raises(TimeoutError):
                sent.result(timeout=1.0)
            assert log(home).empty
        assert sent.result(timeout=60)["accepted"] == ["e1"]
    assert list(log(home)[tables.EVENT_ID]) == ["e1"]


def test_an_event_twice_in_one_batch_counts_once(client: TestClient, home: Home) -> None:
    taken = post_events(client, CLICK, CLICK)
    assert (taken["accepted"], taken["duplicates"]) == (["e1"], ["e1"])
    assert len(log(home)) == 1


def test_bad_events_are_quarantined_beside_good_ones(client: TestClient, home: Home) -> None:
    taken = post_events(
        client,
        CLICK,
        {**CLICK, "event_id": "e2", "item_id": "ghost"},
        {**CLICK, "event_id": "e3", "event_type": "stare"},
        {**CLICK, "event_id": "e4", "event_timestamp": "2999-01-01T00:00:00Z"},
        {**CLICK, "event_id": "e5", "user_id": None},
    )

    assert taken["accepted"] == ["e1"]
    assert [row["id"] for row in taken["quarantined"]] == ["e2", "e3", "e4", "e5"]
    assert all(row["reasons"] for row in taken["quarantined"])
    assert list(log(home)[tables.EVENT_ID]) == ["e1"]
    assert len(pq.read_table(home.quarantine / "events.parquet")) == 4


def test_a_new_listing_learns_from_its_first_users_as_they_were_before(
    client: TestClient, recommender: CountingRecommender, store: MemoryStore
) -> None:
    before = {**CLICK, "event_id": "e0", "item_id": "lamp", "event_timestamp": "2026-01-31"}
    post_events(client, before)
    taken = post_events(client, CLICK, {**CLICK, "event_id": "e2", "user_id": "cid"})

    assert taken["adapted"] == ["sofa"]
    assert recommender.adaptations[-1] == ("sofa", 2)
    assert recommender.supporters[-1] == [("lamp",), ()]
    assert store.rows["item_adaptation"]["sofa"]["support"] == 2


def test_impressions_do_not_adapt(client: TestClient, recommender: CountingRecommender) -> None:
    taken = post_events(client, {**CLICK, "event_type": "impression"})
    assert taken["accepted"] == ["e1"]
    assert taken["adapted"] == []
    assert recommender.adaptations == []


def test_a_catalogue_item_the_model_does_not_serve_is_logged_without_adapting(
    client: TestClient, recommender: CountingRecommender
) -> None:
    del recommender.prior["sofa"]
    taken = post_events(client, CLICK)
    assert (taken["accepted"], taken["adapted"]) == (["e1"], [])


def test_item_statistics_are_pushed(client: TestClient, store: MemoryStore) -> None:
    post_events(client, CLICK, {**CLICK, "event_id": "e2", "event_type": "purchase"})
    stats = store.rows["item_stats"]["sofa"]
    assert (stats["click_count"], stats["purchase_count"], stats["user_count"]) == (1, 1, 1)


def test_events_reach_every_behaviour_view_and_count_from_when_they_arrived(
    client: TestClient, home: Home, store: MemoryStore
) -> None:
    old = {**CLICK, "event_id": "e3", "event_timestamp": "2020-01-01T00:00:00Z"}
    post_events(client, old)
    user, item = CLICK["user_id"], CLICK["item_id"]
    assert store.rows["user_activity"][user]["event_count_life"] >= 1
    assert store.rows["item_activity"][item]["click_count_life"] == 1
    assert store.rows["item_activity"][item]["click_count_30d"] == 0
    assert store.rows["user_affinities"][user]["domain_affinities"].startswith("{")
    (logged,) = (row for row in event_log(home).read().to_pylist() if row["event_id"] == "e3")
    known = store.rows["item_activity"][item]["event_timestamp"]
    assert known == pd.Timestamp(logged["received_at"]) + pd.Timedelta(microseconds=1)
    assert logged["event_timestamp"] < logged["received_at"]


def test_an_accepted_listing_is_recommendable_at_once(
    client: TestClient, home: Home, store: MemoryStore
) -> None:
    (home.photos / "vase.png").write_bytes(photo((10, 20, 200)))

    taken = post_listings(client, {**VASE, "photo_path": "vase.png"})

    assert taken["accepted"] == ["vase"]
    assert taken["quarantined"] == []
    best = client.post("/recommend", json={"user_id": "ann", "k": 1}).json()
    assert best["items"][0]["item_id"] == "vase"
    assert best["items"][0]["title"] == "Blue vase"
    assert client.get("/photos/vase").content == (home.photos / "vase.png").read_bytes()
    assert taken["snapshot"] == best["snapshot"] == "snapshot-4"
    assert "vase" in list(pq.read_table(home.items)[tables.ITEM_ID].to_pylist())
    assert store.rows["item_vector"]["vase"]["model"] == "coldstart-siamese:test"
    assert store.rows["item_profile"]["vase"]["price"] == 20.0
    assert list(store.rows["item_image_embedding"]["vase"]["embedding"]) == [20.0, 40.0, 145.0]
    assert list(store.rows["item_text_embedding"]["vase"]["embedding"]) == [9.0]


def test_an_accepted_listing_says_what_is_worth_mending(client: TestClient, home: Home) -> None:
    taken = post_listings(client, {**VASE, "title": "<b>Blue</b> vase", "price": 0})
    assert taken["accepted"] == ["vase"]
    (warning,) = taken["warnings"]
    assert warning["id"] == "vase"
    assert "if the listing is not free" in " ".join(warning["reasons"])
    assert "has HTML in it" in " ".join(warning["reasons"])
    assert [run.step for run in history.runs(home.gate_results)] == ["listings"]


def test_a_listing_is_told_of_once_also_where_its_photo_shows_something_else(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.zeros(ColourEncoder("image").width)
    strict = Alignment(
        nothing,
        np.zeros(ColourEncoder("text").width),
        np.zeros((len(nothing), ColourEncoder("text").width)),
        threshold=0.5,
        matching=np.ones(3),
        mismatched=np.zeros(3),
        learned_from=np.arange(3),
        out_of_fold=np.ones(3),
    )
    monkeypatch.setattr(photo_text, "_kept", lambda **_: strict)
    sent = {**VASE, "price": 0, "photo_base64": base64.b64encode(photo((200, 20, 10))).decode()}
    (warning,) = post_listings(client, sent)["warnings"]
    assert warning["id"] == "vase"
    assert "if the listing is not free" in warning["reasons"][0]
    assert warning["reasons"][-1].startswith("the photo of 'vase' does not look like what its text")


def test_a_photo_can_be_sent_in_the_request(client: TestClient) -> None:
    content = photo((200, 20, 10))
    sent = {**VASE, "photo_base64": base64.b64encode(content).decode()}
    assert post_listings(client, sent)["accepted"] == ["vase"]
    assert client.get("/photos/vase").content == content


def test_a_reason_names_a_photo_as_the_caller_did_and_never_the_servers_folders(
    client: TestClient, home: Home
) -> None:
    (home.photos / "empty.jpg").write_bytes(b"")
    small = io.BytesIO()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(small, "PNG")
    sent = base64.b64encode(small.getvalue()).decode()
    taken = post_listings(
        client,
        {**VASE, "item_id": "empty", "photo_path": "empty.jpg"},
        {**VASE, "item_id": "whole", "photo_path": str(home.photos / "empty.jpg")},
        {**VASE, "item_id": "sent", "photo_base64": sent},
        {**VASE, "item_id": "vase"},
    )
    reasons = {row["id"]: " ".join(row["reasons"]) for row in taken["quarantined"]}
    assert "photo 'empty.jpg' is an empty file" in reasons["empty"]
    assert "photo 'empty.jpg' is an empty file" in reasons["whole"]
    assert "photo 'photo_base64' is less than" in reasons["sent"]
    assert str(home.root) not in json.dumps(taken)
    assert taken["accepted"] == ["vase"]
    (home.photos / "sofa.jpg").write_bytes(b"")  # the file of a listing that is there already
    change = {"listings": [{"item_id": "sofa", "price": 650.0}]}
    told = client.post("/listings/update", json=change).json()
    assert "photo 'sofa.jpg' is an empty file" in told["quarantined"][0]["reasons"][0]
    assert str(home.root) not in json.dumps(told)


def test_one_bad_listing_never_stops_the_good_ones(client: TestClient, home: Home) -> None:
    (home.photos / "empty.jpg").write_bytes(b"")
    taken = post_listings(
        client,
        VASE,
        {**VASE, "item_id": "priceless", "price": "n/a"},
        {**VASE, "item_id": "blind", "photo_path": "empty.jpg"},
        {**VASE, "item_id": None, "title": "Nameless"},
        {**VASE, "item_id": "garbled", "photo_base64": "!!"},
        {"item_id": "rug", "title": "Wool rug"},
    )

    assert taken["accepted"] == ["rug", "vase"]
    reasons = {row["id"]: row["reasons"] for row in taken["quarantined"]}
    assert set(reasons) == {"priceless", "blind", None, "garbled"}
    assert all(reasons.values())
    assert client.post("/similar", json={"item_id": "priceless"}).status_code == 404


@pytest.mark.parametrize("named", ["../catalog/items.parquet", "/etc/hosts", "link.jpg"])
def test_a_photo_outside_the_allowed_folder_is_refused(
    client: TestClient, home: Home, tmp_path: Path, named: str
) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(photo((1, 2, 3)))
    (home.photos / "link.jpg").symlink_to(outside)

    taken = post_listings(client, {**VASE, "photo_path": named}, {"item_id": "rug", "title": "Rug"})

    assert taken["accepted"] == ["rug"]
    assert [row["id"] for row in taken["quarantined"]] == ["vase"]
    assert "outside the allowed photo folder" in taken["quarantined"][0]["reasons"][0]


def test_a_listing_cannot_take_over_another_sources_item(client: TestClient, home: Home) -> None:
    taken = post_listings(client, {**VASE, "item_id": "sofa"})
    assert taken["accepted"] == []
    assert "belongs to source 'tiny'" in taken["quarantined"][0]["reasons"][0]
    items = pq.read_table(home.items).to_pandas().set_index(tables.ITEM_ID)
    assert items.loc["sofa", tables.TITLE] == "Linen sofa"


def test_a_listing_that_comes_again_is_updated(client: TestClient, home: Home) -> None:
    post_listings(client, VASE)
    assert post_listings(client, {**VASE, "price": 25.0})["accepted"] == ["vase"]
    items = pq.read_table(home.items).to_pandas()
    assert list(items.loc[items[tables.ITEM_ID] == "vase", tables.PRICE]) == [25.0]


def test_the_metrics_count_what_came_in_and_what_was_new(client: TestClient) -> None:
    post_events(client, CLICK, {**CLICK, "event_id": "e2", "item_id": "ghost"})
    client.post("/recommend", json={"user_id": "nobody", "k": 1})
    client.post("/recommend", json={"user_id": "ann", "k": 1})

    metrics = generate_latest().decode()

    assert 'coldstart_intake_rows_total{kind="events",outcome="quarantined"}' in metrics
    assert 'coldstart_gate_failures_total{check="known_item",kind="events"}' in metrics
    assert 'coldstart_fallbacks_total{reason="no history"}' in metrics
    assert 'coldstart_recommended_items_total{kind="new"}' in metrics
    assert 'coldstart_stage_seconds_bucket{le="0.001",stage="recommend"}' in metrics

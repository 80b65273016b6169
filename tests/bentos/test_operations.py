"""What the operations page is told, and how little is read for it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from bentos.client import Client
from bentos.recommender import desk as desks
from bentos.recommender.desk import Remembered
from feature_repo.event_log import EventLog
from feature_repo.home import Home
from feature_repo.log_state import LogState
from validation import history

DAY = timedelta(days=1)


def ask(client: TestClient) -> dict[str, Any]:
    answer = client.post("/operations", json={})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_gate_verdicts_and_what_is_held_back_are_told(client: TestClient) -> None:
    listings = [{"item_id": "rug", "title": "Wool rug"}, {"item_id": "bad", "price": -1}]
    client.post("/listings", json={"listings": listings})
    gate = ask(client)["gate"]
    (run,) = gate["runs"]
    assert (run["table"], run["step"], run["verdict"]) == ("items", "listings", "quarantined")
    assert (run["received"], run["accepted"], run["quarantined"]) == (2, 1, 1)
    assert gate["held"] == 1
    held = {(one["table"], one["check"]): one["rows"] for one in gate["held_by_check"]}
    assert held[("items", "price_not_negative")] == 1
    assert run["checks"]["price_not_negative"] == 1


def test_answers_and_fallbacks_are_counted_from_the_start(client: TestClient) -> None:
    before = ask(client)["answering"]
    client.post("/recommend", json={"user_id": "ann", "k": 2})
    client.post("/recommend", json={"k": 2})
    after = ask(client)["answering"]
    assert after["recommended_new"] - before["recommended_new"] == 4
    reason = "no history"
    assert after["fallbacks"][reason] - before["fallbacks"].get(reason, 0) == 1


def test_the_state_of_catalogue_and_model_is_told(client: TestClient) -> None:
    told = ask(client)
    assert told["model"] == "coldstart-siamese:test"
    assert told["cold"]["listings"] == told["cold"]["unseen"] == 3
    assert told["cold"]["groups"][0] == {
        "least": 0,
        "most": 0,
        "listings": 3,
        "impressions": 0,
    }
    assert told["experiment"] is None
    assert datetime.fromisoformat(told["features"]["read_at"]) <= datetime.now(UTC)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment in the configuration, and nothing remembered."""
    config = tmp_path / "coldstart.toml"
    config.write_text(
        '[experiment]\nname = "blend"\n'
        'variants = [{name = "as learned"}, {name = "general", personal = 0.2, weight = 3.0}]\n'
    )
    monkeypatch.setenv("COLDSTART_CONFIG", str(config))
    monkeypatch.setattr(desks, "QUICK", 0.0)


def test_an_experiment_is_told_with_its_people_and_pages(
    experiment: None, client: TestClient
) -> None:
    users = [f"u{number}" for number in range(20)]
    served = [
        client.post("/recommend", json={"user_id": user, "k": 1}).json()["variant"]
        for user in [*users, *users]
    ]
    told = ask(client)["experiment"]
    assert (told["name"], told["share"]) == ("blend", 1.0)
    shares = [(one["name"], one["share"], one["personal"]) for one in told["variants"]]
    assert shares == [("as learned", 0.25, None), ("general", 0.75, 0.2)]
    for one in told["variants"]:
        pages = served.count(one["name"])
        assert (one["pages"], one["people"]) == (pages, pages // 2)
        assert pages > 0


def test_reports_that_are_kept_are_linked_and_nothing_else_is_served(
    client: TestClient, home: Home
) -> None:
    for path in (home.gate_results / "my shop.html", home.reports / "evaluation.html"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<p>told")
    (home.gate_results / "runs.jsonl").write_text("")
    reports = ask(client)["gate"]["reports"]
    assert {one["name"] for one in reports} == {"my shop.html", "evaluation.html"}
    for one in reports:
        page = client.get(f"/{one['path']}")
        assert page.text == "<p>told"
        assert "sandbox" in page.headers["content-security-policy"]
    for other in ("gate/runs.jsonl", "gate/evaluation.html", "gate/..%2fregistry.db"):
        assert client.get(f"/ui/reports/{other}").status_code == 404


def test_a_history_that_is_broken_is_told_in_the_log(
    client: TestClient, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.gate_results.mkdir(parents=True, exist_ok=True)
    (home.gate_results / "runs.jsonl").write_text("no run\n")
    with caplog.at_level("ERROR"):
        assert client.post("/operations", json={}).status_code == 503
    assert "is no run of the gate" in caplog.text


def test_what_was_read_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, made = [0.0], []
    monkeypatch.setattr(desks, "monotonic", lambda: clock[0])
    kept = Remembered(3.0, lambda: made.append(1) or len(made))
    assert [kept.get(), kept.get()] == [1, 1]
    clock[0] = 3.1
    assert kept.get() == 2


def test_no_event_log_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the log was read")

    for one, names in (
        (EventLog, ("read", "rows_where", "find", "of_items")),
        (LogState, ("read", "batches", "after")),
    ):
        for name in names:
            monkeypatch.setattr(one, name, refuse)
    assert ask(client)["cold"]["listings"] == 3


def test_the_client_has_methods_for_the_pages_operations(client: TestClient) -> None:
    def answered(request: httpx.Request) -> httpx.Response:
        answer = client.post(request.url.path, content=request.content, headers=request.headers)
        return httpx.Response(answer.status_code, content=answer.content)

    with Client("http://test", transport=httpx.MockTransport(answered)) as asking:
        assert asking.operations().cold.listings == 3
        assert asking.place("lamp", user_id="ann").place == 1
        assert asking.showcase(k=1).listings[0].item_id == "sofa"


def test_openapi_describes_the_payload(client: TestClient) -> None:
    described = client.get("/docs.json").json()
    assert "/operations" in described["paths"]
    schema = described["components"]["schemas"]["GateRun"]
    assert schema["properties"]["verdict"]["description"] == "pass, warn or quarantined"
    told = described["paths"]["/recommend"]["post"]["responses"]
    assert {"400", "401", "403", "404", "413", "429", "503", "504"} < set(told)


def test_the_newest_runs_come_from_the_files_end(tmp_path: Path) -> None:
    run = {
        "source": "shop",
        "table": "items",
        "step": "ingest",
        "verdict": "pass",
        **dict.fromkeys(("received", "accepted"), 1),
        **dict.fromkeys(("quarantined", "warnings"), 0),
        "reason_counts": {},
    }
    lines = [
        json.dumps({"checked_at": (datetime(2026, 1, 1, tzinfo=UTC) + n * DAY).isoformat(), **run})
        for n in range(3000)
    ]
    (tmp_path / history.FILE).write_text("".join(f"{line}\n" for line in lines) + '{"half')
    assert (tmp_path / history.FILE).stat().st_size > 2 * history.TAIL_BYTES
    found = history.newest(tmp_path, last=2)
    assert found == history.runs(tmp_path, last=2)[::-1]
    assert history.newest(tmp_path / "none", last=2) == []

"""An event has moved what is recommended once no answer is as one before it was."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks import serving_intake
from benchmarks.serving_intake import times_to_move
from feature_repo.home import Home
from validation import tables

LATE = 3
"""Answers after an event that are as before: marked as personal, with the ids of before."""


class Shop(BaseHTTPRequestHandler):
    """Recommends by how many events a person sent, a few answers late."""

    protocol_version = "HTTP/1.1"
    known: dict[str, int]
    told: Counter[str]
    asked: Counter[tuple[str, int]]
    clicked: dict[str, list[str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.take(body) if self.path == "/events" else self.recommend(body["user_id"])
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def take(self, body: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
        for event in body["events"]:
            self.told[event["user_id"]] += 1
            self.clicked[event["user_id"]].append(event["item_id"])
        return {"accepted": [event["event_id"] for event in body["events"]]}

    def recommend(self, user: str) -> dict[str, object]:
        self.asked[(user, self.told[user])] += 1
        events = self.told[user]
        if events and self.asked[(user, events)] <= LATE:
            events -= 1
        fallback = None if self.told[user] else "popular"
        return {"items": [{"item_id": f"best-{events}"}], "fallback": fallback}

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


@pytest.fixture
def shop() -> Iterator[tuple[int, type[Shop]]]:
    """Port of a shop, and what it saw."""

    class Own(Shop):
        told, asked, clicked = Counter(), Counter(), defaultdict(list)

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, Own
        server.shutdown()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    items = pd.DataFrame(
        {
            tables.ITEM_ID: ["new-lamp", "chair", "sofa", "lamp"],
            tables.TITLE: ["Lamp", "Chair", "Sofa", "Lamp"],
            tables.CATEGORY: ["Lamps", "Seats", "Seats", "Lamps"],
            tables.LISTED_AT: pd.to_datetime(
                ["2026-03-01", "2026-01-01", "2026-01-02", "2026-01-03"], utc=True
            ),
            tables.SOURCE: ["shop"] * 4,
        }
    )
    home.items.parent.mkdir(parents=True)
    pq.write_table(tables.ITEMS.to_arrow(items), home.items)
    return home


@pytest.mark.parametrize("workers", [1, 2])
def test_an_answer_that_only_says_it_is_personal_has_not_moved(
    shop: tuple[int, type[Shop]],
    home: Home,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_intake, "IN_A_ROW", 2)
    port, seen = shop
    taken = times_to_move(port, home, 2, workers=workers)
    assert len(taken) == 4
    assert all(one > LATE * 1000 * serving_intake.POLL_SECONDS / workers for one in taken)
    for user, clicked in seen.clicked.items():
        assert clicked == ["chair", "lamp"]
        assert seen.asked[(user, 1)] > LATE
        assert seen.asked[(user, 2)] > LATE
    assert len(seen.clicked) == 2


def test_what_stays_as_it_was_is_told(
    shop: tuple[int, type[Shop]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = shop
    monkeypatch.setattr(serving_intake, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(seen, "recommend", lambda self, user: {"items": [], "fallback": None})
    with pytest.raises(RuntimeError, match="did not show"):
        times_to_move(port, home, 1)

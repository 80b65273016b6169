"""Clocks that disagree: nothing is lost, nothing gets a negative age, time never goes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from bentos.recommender.clock import ServiceClock
from feature_repo.event_log import event_log
from feature_repo.home import Home
from tests.bentos.fakes import MemoryStore
from validation import tables

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Machine:
    """A machine's clocks: what the wall shows, and what only goes on."""

    def __init__(self) -> None:
        self.wall, self.uptime = NOON, 1000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds

    def set_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> ServiceClock:
    return ServiceClock(lambda: machine.wall, lambda: machine.uptime)


def click(number: int, moment: datetime | None) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "user_id": "bob",
        "item_id": "sofa",
        "event_type": "click",
        "event_timestamp": moment and moment.isoformat(),
    }


def test_it_is_the_machines_clock(machine: Machine, clock: ServiceClock) -> None:
    machine.pass_by(90)
    assert clock.now() == NOON + timedelta(seconds=90)
    machine.set_by(3600)
    assert clock.now() == machine.wall


def test_it_goes_on_while_the_machines_was_set_back(
    machine: Machine, clock: ServiceClock, caplog: pytest.LogCaptureFixture
) -> None:
    machine.pass_by(10)
    machine.set_by(-600)
    said = []
    for _ in range(5):
        machine.pass_by(1)
        said.append(clock.now())
    assert said == [NOON + timedelta(seconds=10 + one) for one in range(1, 6)]
    assert [one.message for one in caplog.records if "set back" in one.message] == [
        "the machine's clock was set back by 600.0 s; the service's own goes on"
    ]
    machine.set_by(700)
    assert clock.now() == machine.wall


def test_no_event_is_lost_when_the_servers_clock_is_set_back(
    client: TestClient,
    service: Any,
    home: Home,
    store: MemoryStore,
    machine: Machine,
    clock: ServiceClock,
) -> None:
    service._clock = clock
    first = client.post("/events", json={"events": [click(1, None), click(2, NOON)]}).json()
    machine.pass_by(30)
    machine.set_by(-3600)
    honest = NOON + timedelta(seconds=30)
    second = client.post("/events", json={"events": [click(3, honest), click(4, None)]}).json()
    assert (first["accepted"], second["accepted"]) == (["e1", "e2"], ["e3", "e4"])

    log = event_log(home).read().to_pandas().set_index(tables.EVENT_ID)
    assert log[tables.RECEIVED_AT].is_monotonic_increasing
    assert (log[tables.EVENT_TIMESTAMP] <= log[tables.RECEIVED_AT]).all()
    assert store.rows["user_history"]["bob"]["event_count"] == 4
    known = store.rows["item_activity"]["sofa"]["event_timestamp"]
    assert known == pd.Timestamp(log[tables.RECEIVED_AT].max()) + pd.Timedelta(microseconds=1)


def test_a_clients_clock_may_be_some_minutes_off_and_no_more(
    client: TestClient, service: Any, home: Home, store: MemoryStore, clock: ServiceClock
) -> None:
    service._clock = clock
    events = [
        click(1, NOON + timedelta(minutes=4)),
        click(2, NOON - timedelta(days=400)),
        click(3, NOON + timedelta(hours=2)),
    ]
    taken = client.post("/events", json={"events": events}).json()
    assert taken["accepted"] == ["e1", "e2"]
    (held,) = taken["quarantined"]
    assert held["id"] == "e3"
    assert "check the clock and the time zone" in held["reasons"][0]
    assert store.rows["user_history"]["bob"]["event_count"] == 2
    assert (home.quarantine / "events.parquet").exists()


def test_no_age_is_negative(client: TestClient, service: Any, machine: Machine) -> None:
    machine.wall = datetime(2000, 1, 1, tzinfo=UTC)  # before the model was trained
    service._clock = ServiceClock(lambda: machine.wall, lambda: machine.uptime)
    ages = [
        float(line.split()[1])
        for line in client.get("/metrics").text.splitlines()
        if line.startswith(("coldstart_model_age", "coldstart_snapshot_age"))
    ]
    assert len(ages) == 2
    assert min(ages) >= 0.0

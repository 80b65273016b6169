"""The shop's clock follows the log: what is appended is added, a new log is counted anew."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from coldstart_models.data.shop_clock import HOUR_US
from coldstart_models.log_clock import LogClock, log_clock
from feature_repo import log_state
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.log_state import new_generation, write_base
from tests.feature_repo.samples import events_frame
from validation import tables

START = pd.Timestamp("2024-03-01", tz="UTC")
START_US = START.value // 1_000


def rows(*told: tuple[str, float]) -> pd.DataFrame:
    """Events of a type and an hour."""
    return events_frame(
        *(
            (f"u{number}", "i", kind, str(START + pd.Timedelta(hours=hour)))
            for number, (kind, hour) in enumerate(told)
        )
    )


def append(home: Home, *told: tuple[str, float]) -> None:
    frame = rows(*told).assign(event_id=[f"{kind}-{hour}" for kind, hour in told])
    event_log(home).append(tables.EVENTS.to_arrow(frame))


def until(clock: LogClock, hour: float) -> float:
    (found,) = clock.now().read(np.array([START_US + int(hour * HOUR_US)]))
    return float(found)


def test_it_counts_positive_events_and_those_that_come_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_state, "READ_ROWS", 2)
    home = Home(tmp_path)
    append(home, ("click", 0.5), ("impression", 0.6), ("purchase", 3.5))
    event_log(home).compact()
    append(home, ("cart", 3.7))
    clock = LogClock(home)
    assert until(clock, 1) == 1.0
    assert until(clock, 3.7) == 3.0
    append(home, ("click", 1.5), ("purchase", 9.5), ("impression", 9.7))
    event_log(home).compact()  # what was not counted is in the large file now
    append(home, ("click", 9.6))
    assert [until(clock, hour) for hour in (1, 2, 4, 9.6)] == [1.0, 2.0, 4.0, 6.0]
    assert until(log_clock(home), 9.6) == 6.0


def test_of_a_log_that_was_written_anew_nothing_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    append(home, ("click", 0.5), ("click", 1.5), ("purchase", 3.5))
    clock = LogClock(home)
    assert until(clock, 2.5) == 2.0
    write_base(
        tables.EVENTS.to_arrow(rows(("click", 2.5))), home.events, generation=new_generation()
    )
    assert until(clock, 2.5) == 1.0


def test_a_file_of_another_program_is_counted_anew_wherever_it_was_changed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    clock = LogClock(home)
    home.events.parent.mkdir(parents=True)
    for hours in ((0.5, 1.5, 2.2), (1.5, 2.2), (0.2, 0.5, 1.5, 2.2)):
        frame = rows(*(("click", hour) for hour in hours))
        pq.write_table(tables.EVENTS.to_arrow(frame), home.events)
        assert until(clock, 2.2) == len(hours)

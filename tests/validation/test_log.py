import numpy as np
import pandas as pd

from tests.validation.conftest import NOW, Listings
from validation import gate, log


def test_a_user_faster_than_any_person_is_warned_of(log: Listings) -> None:
    users = ["bot"] * 60 + ["person"] * 30
    times = [f"2026-02-01T10:00:{number % 60:02}" for number in range(90)]
    frame = log(*users, event_timestamp=times)
    result = gate.check_events(frame, known_item_ids={"a"}, now=NOW)
    assert result.quarantined.empty
    assert result.warnings["row_number"].tolist() == list(range(60))
    assert "60 clicks" in result.warnings["reasons"].iloc[0][0]
    assert result.warnings["checks"].iloc[0] == ["user_rate_human"]


def test_the_lines_of_one_purchase_are_no_bot(log: Listings) -> None:
    frame = log(*["u"] * 200, event_type=["purchase"] * 200)
    assert gate.check_events(frame, known_item_ids={"a"}, now=NOW).verdict == "pass"


def days(*, without: set[str], start: str = "2026-01-01", count: int = 56) -> pd.DataFrame:
    every = pd.date_range(start, periods=count, freq="D", tz="UTC")
    kept = [day for day in every if day.date().isoformat() not in without]
    return pd.DataFrame({"event_timestamp": [day for day in kept for _ in range(25)]})


def gaps(*parts: pd.DataFrame) -> tuple[str, ...]:
    survey = log.DaySurvey(NOW)
    for part in parts:
        survey.add(part)
    return survey.gaps()


def test_days_without_any_event_are_noted() -> None:
    (note,) = gaps(days(without={"2026-01-10", "2026-01-11", "2026-02-03", "2026-02-04"}))
    assert "no event on 4 of 56 days (2026-01-10, 2026-01-11, 2026-02-03 and 1 more)" in note


def test_a_shop_closed_on_sundays_and_a_thin_log_have_no_gaps() -> None:
    sundays = {
        day.date().isoformat() for day in pd.date_range("2026-01-01", "2026-02-25", freq="W-SUN")
    }
    assert gaps(days(without=sundays)) == ()
    thin = days(without={"2026-01-10"}).iloc[::10]
    assert gaps(thin) == ()
    assert gaps(days(without=set()).iloc[:0]) == ()


def test_one_date_beyond_what_pandas_counts_stops_nothing(log: Listings) -> None:
    """Parquet in microseconds holds them; they are held back, and no day of theirs is missed."""
    good = days(without={"2026-01-10"}, count=30)["event_timestamp"].dt.as_unit("us")
    odd = pd.Series(np.array(["0001-01-01", "9999-12-31"], "datetime64[us]")).dt.tz_localize("UTC")
    times = pd.concat([odd, good], ignore_index=True)
    frame = log(*(f"u{number}" for number in range(len(times)))).assign(event_timestamp=times)
    result = gate.check_events(frame, known_item_ids={"a"}, now=NOW)
    assert result.quarantined["checks"].tolist() == [
        ["event_timestamp_plausible"],
        ["event_timestamp_not_in_future"],
    ]
    assert "before 1990; correct the date" in result.quarantined["reasons"].iloc[0][0]
    assert ["no event on 1 of 30 days (2026-01-10)" in note for note in result.notes] == [True]

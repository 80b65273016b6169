import hashlib

import pandas as pd

from feature_repo.jobs.event_ids import with_event_ids
from validation import tables


def events(**columns: list[object]) -> pd.DataFrame:
    given = {
        tables.SOURCE: ["s"] * 3,
        tables.USER_ID: ["u", "u", "v"],
        tables.ITEM_ID: ["a", "a", "a"],
        tables.EVENT_TIMESTAMP: pd.to_datetime(["2020-01-01"] * 3, utc=True),
        tables.EVENT_TYPE: ["click"] * 3,
    }
    return pd.DataFrame({**given, **columns})


def ids(frame: pd.DataFrame) -> list[str]:
    result: list[str] = with_event_ids(frame)[tables.EVENT_ID].tolist()
    return result


def test_real_repeats_stay_apart_and_a_second_reading_gives_the_same_ids() -> None:
    first = ids(events())
    assert len(set(first)) == 3
    assert all(len(event_id) == 32 for event_id in first)
    assert ids(events()) == first


def test_the_ids_are_the_same_on_every_machine() -> None:
    key = "\x1f".join(["s", "u", "a", "1577836800000000", "click", "\x00", "1"])
    assert ids(events())[1] == hashlib.sha256(key.encode()).hexdigest()[:32]


def test_the_order_of_other_rows_does_not_matter() -> None:
    shuffled = events().iloc[[2, 0, 1]].reset_index(drop=True)
    first = ids(events())
    assert ids(shuffled) == [first[2], first[0], first[1]]


def test_the_resolution_of_the_times_does_not_matter() -> None:
    fine = events()
    coarse = fine.assign(
        **{tables.EVENT_TIMESTAMP: fine[tables.EVENT_TIMESTAMP].astype("datetime64[us, UTC]")}
    )
    assert ids(coarse) == ids(fine)


def test_every_key_column_counts_and_null_is_no_value() -> None:
    plain = ids(events())
    for name in (tables.SOURCE, tables.USER_ID, tables.ITEM_ID, tables.EVENT_TYPE):
        assert not set(ids(events(**{name: ["x", "x", "y"]}))) & set(plain)
    with_session = ids(events(**{tables.SESSION_ID: ["b", None, ""]}))
    assert len(set(with_session)) == 3
    assert with_session[1] == plain[0]


def test_quantities_do_not_change_an_id() -> None:
    assert ids(events(**{tables.QUANTITY: [1, 2, 3]})) == ids(events())


def test_a_time_that_cannot_be_read_changes_no_other_rows_id() -> None:
    times = [*events()[tables.EVENT_TIMESTAMP][:2], "31/02/2020"]
    mixed = events(**{tables.EVENT_TIMESTAMP: pd.Series(times, dtype=object)})
    assert ids(mixed)[:2] == ids(events())[:2]


def test_a_blank_id_is_none() -> None:
    blank = events(**{tables.EVENT_ID: ["mine", " ", ""]})
    assert ids(blank) == ids(events(**{tables.EVENT_ID: ["mine", None, None]}))


def test_given_ids_stay_and_only_missing_ones_are_filled() -> None:
    filled = ids(events(**{tables.EVENT_ID: ["mine", None, "yours"]}))
    assert filled[0] == "mine"
    assert filled[2] == "yours"
    assert filled[1] == ids(events())[0]
    complete = events(**{tables.EVENT_ID: ["a", "b", "c"]})
    assert with_event_ids(complete) is complete


def test_an_empty_log_has_no_ids() -> None:
    assert ids(events().iloc[:0]) == []

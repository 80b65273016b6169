import pandas as pd
import pytest

from feature_repo.catalogs.moments import in_sequence, moments
from feature_repo.catalogs.source import SourceError


def times(values: list[object], **options: str) -> list[object]:
    return moments(pd.Series(values), where="'t' of log.csv", **options).tolist()


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def test_iso_text_without_a_zone_is_utc_and_one_with_an_offset_is_moved() -> None:
    read = times(["2020-01-02", "2020-01-02T03:04:05.123456", "2020-01-02 03:04:05+02:00", None])
    assert read == [
        utc("2020-01-02"),
        utc("2020-01-02 03:04:05.123456"),
        utc("2020-01-02 01:04:05"),
        pd.NaT,
    ]


@pytest.mark.parametrize("as_text", [False, True])
def test_seconds_and_finer_units_since_1970_are_told_apart_by_size(as_text: bool) -> None:
    numbers = [1577934245, 1577934245123, 1577934245123456, 1577934245123456789]
    read = times([str(number) for number in numbers] if as_text else numbers)
    assert read == [
        utc("2020-01-02 03:04:05"),
        utc("2020-01-02 03:04:05.123"),
        utc("2020-01-02 03:04:05.123456"),
        utc("2020-01-02 03:04:05.123456"),
    ]


def test_seconds_with_a_fraction_keep_it() -> None:
    assert times([1577934245.5, None]) == [utc("2020-01-02 03:04:05.5"), pd.NaT]


def test_a_value_that_cannot_be_read_travels_as_it_is() -> None:
    assert times(["2020-01-02", "soon"]) == [utc("2020-01-02"), "soon"]


def test_a_column_without_one_readable_time_names_the_line_to_write() -> None:
    with pytest.raises(SourceError, match=r"'13/01/2020'.*timestamp_format = "):
        times(["13/01/2020", "14/01/2020"])


def test_a_stated_format_and_zone_are_followed() -> None:
    read = times(
        ["01/07/2020 12:00", "01/01/2020 12:00"],
        timestamp_format="%d/%m/%Y %H:%M",
        zone="Europe/Amsterdam",
    )
    assert read == [utc("2020-07-01 10:00"), utc("2020-01-01 11:00")]


def test_an_offset_in_the_text_wins_over_the_stated_zone() -> None:
    read = times(["2020-07-01 12:00", "2020-07-01T12:00Z"], zone="Europe/Amsterdam")
    assert read == [utc("2020-07-01 10:00"), utc("2020-07-01 12:00")]


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(SourceError, match="'Mars/Base'"):
        times(["2020-07-01"], zone="Mars/Base")


def test_small_integers_are_an_order_and_not_times() -> None:
    with pytest.raises(SourceError, match=r"from 0 to 2.*seq = "):
        times([0, 1, 2])


def test_a_sequence_counts_microseconds_from_the_year_2000() -> None:
    placed = in_sequence(pd.Series(["0", "7", "x"]))
    assert placed.tolist() == [utc("2000-01-01"), utc("2000-01-01 00:00:00.000007"), "x"]
    assert str(in_sequence(pd.Series([0, 7])).dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    "offset", ["+00", "-02", "+0200", "+02:00", ".25+00", " +02:00", "Z", ".123456Z"]
)
def test_every_spelling_of_an_offset_wins_over_the_stated_zone(offset: str) -> None:
    text = f"2024-05-01 10:30:00{offset}"
    assert times([text], zone="Europe/Amsterdam") == [pd.Timestamp(text).tz_convert("UTC")]


def test_a_day_alone_has_no_offset() -> None:
    assert times(["2024-05-01"], zone="Europe/Amsterdam") == [utc("2024-04-30 22:00")]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("%d-%m-%Y", "01-05-2024"),
        ("%H:%M %d-%m-%Y", "00:00 01-05-2024"),
        ("%d/%m/%Y %%z", "01/05/2024 %z"),
    ],
)
def test_a_year_behind_a_hyphen_is_no_offset(written: str, text: str) -> None:
    read = times([text], timestamp_format=written, zone="Europe/Amsterdam")
    assert read == [utc("2024-04-30 22:00")]


def test_an_offset_that_the_format_names_wins_over_the_stated_zone() -> None:
    read = times(
        ["01-05-2024 10:30 +0000"],
        timestamp_format="%d-%m-%Y %H:%M %z",
        zone="Europe/Amsterdam",
    )
    assert read == [utc("2024-05-01 10:30")]


@pytest.mark.parametrize("values", [[202405011230], [202405011230.0, None], ["202405011230"]])
def test_a_stated_format_is_that_of_numbers_too(values: list[object]) -> None:
    read = times(values, timestamp_format="%Y%m%d%H%M")
    assert read == [utc("2024-05-01 12:30"), pd.NaT][: len(values)]


def test_a_number_that_a_stated_format_does_not_read_is_no_time_since_1970() -> None:
    assert times([20240501, 1700000000], timestamp_format="%Y%m%d") == [
        utc("2024-05-01"),
        1700000000,
    ]


@pytest.mark.parametrize(
    "beyond", ["9999999999999999999", 9999999999999999999, float("inf"), float("-inf"), 1e300]
)
def test_a_number_that_no_time_has_room_for_travels_as_it_is(beyond: object) -> None:
    known = str(1577934245) if isinstance(beyond, str) else 1577934245
    assert times([known, beyond]) == [utc("2020-01-02 03:04:05"), beyond]

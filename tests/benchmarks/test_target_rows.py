"""What the page says of a target stays until a run says more."""

import pytest

from benchmarks.outcomes import COLUMNS, Outcome, Row, published
from benchmarks.tables import placed, table
from benchmarks.target_rows import merged, standing

PLACE = "<!-- table:targets -->\n<!-- /table:targets -->\n"


def row(target: str, where: str = "`a`", told: str = "1", verdict: str = "met") -> Row:
    return [target, where, told, verdict, "[tried](x.md)" if "missed" in verdict else "–"]


def lacking(target: str, where: str = "`a`") -> Row:
    return [target, where, "not measured", "–", "–"]


def found(target: str, where: str = "`a`", told: str = "2", missing: str | None = None) -> Outcome:
    return Outcome(target, where, told, missing, "shots")


def absent(target: str, where: str = "`a`") -> Outcome:
    return found(target, where, "not measured")


def test_the_rows_of_a_page_are_read_back_as_they_were_written() -> None:
    rows = [row("fast", verdict="missed by 2 ms"), lacking("small", "`b`")]
    assert standing(placed(PLACE, published(rows), name="targets"), name="targets") == rows
    assert standing(PLACE, name="targets") == []


def test_a_table_of_other_columns_is_refused() -> None:
    other = placed(PLACE, table(COLUMNS[:4], [["a", "b", "c", "d"]]), name="targets")
    with pytest.raises(ValueError, match="'targets' has other columns than target, where"):
        standing(other, name="targets")


def test_a_measured_row_takes_its_place_and_the_others_stay_verbatim() -> None:
    page = [row("x"), row("y", verdict="missed by 3 odd things"), row("x", "`b`"), lacking("z")]
    run = [absent("x"), found("y"), absent("x", "`b`"), found("z", missing="a lot")]

    after = merged(page, run)

    assert [after[0], after[2]] == [page[0], page[2]]
    assert after[1] == ["y", "`a`", "2", "met", "–"]
    assert after[3][2:4] == ["2", "missed by a lot"]


def test_a_row_that_no_target_of_the_run_names_stays() -> None:
    assert merged([row("given up"), row("x")], [found("x")]) == [
        row("given up"),
        row("x", told="2"),
    ]


def test_new_rows_come_after_those_of_their_kind() -> None:
    page = [row("x"), row("warm"), row("x", "`c`"), row("speed")]
    run = [
        absent("x"),  # of `a`; its "warm" is told only where it is measured
        found("x", "`b`"),
        absent("more", "`b`"),
        absent("x", "`c`"),
        absent("speed"),
        found("memory"),
    ]

    after = merged(page, run)

    assert [one[:2] for one in after] == [
        ["x", "`a`"],
        ["warm", "`a`"],
        ["x", "`b`"],
        ["more", "`b`"],
        ["x", "`c`"],
        ["speed", "`a`"],
        ["memory", "`a`"],
    ]
    assert after[3] == lacking("more", "`b`")


def test_an_empty_page_gets_the_run_in_its_order() -> None:
    run = [absent("x", "all"), found("y"), absent("z")]
    assert merged([], run) == [one.row() for one in run]


def test_what_stands_for_a_target_as_a_whole_goes_once_it_is_measured_and_does_not_come_back() -> (
    None
):
    measured = [found("gain", "`a`"), found("gain", "`b`"), found("flat", "generated, train")]
    nothing = [absent("gain", "all"), absent("flat", "generated")]
    before = [lacking("gain", "all"), lacking("flat", "generated")]
    rows = [one.row() for one in measured]

    assert merged(before, nothing) == before
    assert merged(before, measured) == rows
    assert merged(rows, nothing) == rows


def test_the_head_counts_the_rows_that_stayed_as_well() -> None:
    rows = merged([row("x"), row("y", verdict="missed by 2")], [absent("x"), absent("z")])
    assert published(rows).startswith("1 of 2 measured targets are met; 1 was not measured.")

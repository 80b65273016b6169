"""Great Expectations' results of the chunks of a table → one result of the whole."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from validation.engine import LISTED_ROWS

COUNTED: Final = ("element_count", "unexpected_count", "missing_count")
VALUES: Final = ("partial_unexpected_list", "unexpected_list", "partial_unexpected_counts")
ROWS: Final = ("partial_unexpected_index_list", "unexpected_index_list")

Result = dict[str, Any]


def merged(parts: Sequence[Result], *, offsets: Sequence[int]) -> Result:
    """One result of a suite that was run chunk by chunk.

    Counts are added and their shares computed anew; lists keep the first few entries. What else
    an expectation observed is the first chunk's.

    Args:
        parts: of the chunks, in their order; the same expectations in each.
        offsets: number of each chunk's first row.
    """
    whole = dict(parts[0])
    whole["results"] = [
        _entry(entries, offsets)
        for entries in zip(*(part["results"] for part in parts), strict=True)
    ]
    passed = sum(bool(entry["success"]) for entry in whole["results"])
    count = len(whole["results"])
    whole["success"] = passed == count
    whole["statistics"] = {
        "evaluated_expectations": count,
        "successful_expectations": passed,
        "unsuccessful_expectations": count - passed,
        "success_percent": 100.0 * passed / count if count else None,
    }
    return whole


def _entry(entries: Sequence[Mapping[str, Any]], offsets: Sequence[int]) -> Result:
    details = [entry["result"] for entry in entries]
    result = dict(details[0])
    for name in COUNTED:
        if name in result:
            result[name] = sum(one[name] for one in details)
    for name in VALUES:
        if name in result:
            result[name] = [value for one in details for value in one.get(name, [])][:LISTED_ROWS]
    for name in ROWS:
        if name in result:
            rows = [
                offset + row
                for one, offset in zip(details, offsets, strict=True)
                for row in one.get(name, [])
            ]
            result[name] = rows[:LISTED_ROWS]
    shares = _shares(*(result.get(name, 0) for name in COUNTED))
    result.update({name: share for name, share in shares.items() if name in result})
    return {
        **entries[0],
        "success": all(entry["success"] for entry in entries),
        "result": result,
    }


def _shares(rows: int, failing: int, missing: int) -> dict[str, float | None]:
    present = rows - missing
    of_present = failing / present * 100 if present else None
    return {
        "unexpected_percent": of_present,
        "unexpected_percent_nonmissing": of_present,
        "unexpected_percent_total": failing / rows * 100 if rows else None,
        "missing_percent": missing / rows * 100 if rows else None,
    }

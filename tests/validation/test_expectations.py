from typing import Any

import numpy as np
import pandas as pd
import pytest

from validation import engine, expectations


def failing(expectation: Any, frame: pd.DataFrame) -> list[int]:
    """Rows that Great Expectations says fail the expectation."""
    asset = engine.context().data_sources
    source = asset.get("trial") if "trial" in asset.all() else asset.add_pandas("trial")
    name = f"frame{len(source.assets)}"
    batch = source.add_dataframe_asset(name)
    request = batch.build_batch_request(options={"dataframe": frame})
    result = batch.get_batch(request).validate(expectation, result_format=engine.RESULT_FORMAT)
    assert not result.exception_info["raised_exception"]
    rows = result.result["unexpected_index_list"]
    assert result.success == (not rows)
    return list(rows)


def test_a_fact_holds_where_the_column_says_so() -> None:
    frame = pd.DataFrame({"known": [True, False, True]})
    assert failing(expectations.ExpectColumnValuesToHold(column="known"), frame) == [1]


@pytest.mark.parametrize(("limit", "rows"), [("latest", [1]), ("earliest", [2])])
def test_times_outside_the_limits_fail_and_null_passes(limit: str, rows: list[int]) -> None:
    times = pd.to_datetime(["2026-01-01", "2026-01-02", "2025-12-31", None], utc=True)
    limits: Any = {limit: "2026-01-01T00:00:00+00:00"}
    expectation = expectations.ExpectMomentsWithin(column="time", **limits)
    assert failing(expectation, pd.DataFrame({"time": times})) == rows


@pytest.mark.parametrize(
    ("limits", "rows"),
    [
        ({"lowest": 0.0}, [0]),
        ({"lowest": 0.0, "exclusive": True}, [0, 1]),
        ({"lowest": 0.0, "highest": 1.0, "exclusive": True}, [0, 1, 3]),
        ({}, []),
    ],
)
def test_numbers_outside_the_limits_fail_and_null_passes(
    limits: dict[str, Any], rows: list[int]
) -> None:
    frame = pd.DataFrame({"number": [-1.0, 0.0, 1.0, 2.0, np.nan]})
    expectation = expectations.ExpectColumnValuesWithin(column="number", **limits)
    assert failing(expectation, frame) == rows


def test_only_the_named_problem_of_a_photo_fails() -> None:
    truncated, blank, coarse = 1, 2, 4
    frame = pd.DataFrame({"photo": [truncated, 0, blank | coarse]})
    expectation = expectations.ExpectPhotosWithoutProblem(column="photo", problem=blank)
    assert failing(expectation, frame) == [2]


@pytest.mark.parametrize(
    ("quality", "rows"), [("width", [3, 4]), ("finite", [1]), ("nonzero", [2]), ("unit", [5])]
)
def test_a_vector_fails_on_one_quality_alone(quality: Any, rows: list[int]) -> None:
    vectors = [[0.6, 0.8], [np.nan, 1], [0, 0], [1], None, [3, 4]]
    column = [None if vector is None else np.array(vector, np.float32) for vector in vectors]
    frame = pd.DataFrame({"vector": pd.Series(column, dtype=object)})
    expectation = expectations.ExpectVectorsToBe(column="vector", quality=quality, width=2)
    assert failing(expectation, frame) == rows


def test_one_of_several_columns_must_be_present() -> None:
    frame = pd.DataFrame({"title": ["x", None, None], "photo": [None, "p", None]}, dtype=object)
    expectation = expectations.ExpectSomePresent(column_list=["title", "photo"])
    assert failing(expectation, frame) == [2]

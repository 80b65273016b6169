"""The JSON that commands print is JSON: programs other than Python's read it."""

import json
import math
from typing import Any

import numpy as np
import pytest

from coldstart_models.commands import console


def strict(text: str) -> Any:
    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refused)


def test_a_number_that_is_none_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json(
        {
            "gain": math.nan,
            "checks": [{"loss": math.inf, "epoch": 1}, (np.float64("nan"), 0.5)],
            "rows": iter([{"value": -math.inf}]),
            "text": "NaN",
        }
    )
    assert strict(capsys.readouterr().out) == {
        "gain": None,
        "checks": [{"loss": None, "epoch": 1}, [None, 0.5]],
        "rows": [{"value": None}],
        "text": "NaN",
    }

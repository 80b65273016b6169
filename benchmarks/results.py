"""How a benchmark tells what it measured: a table for people, JSON for everything else."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from coldstart_models.commands import console
from validation.whole_files import replacing

FOLDER: Final = Path(__file__).resolve().parent / "results"
Row = Mapping[str, str | int | float]


def publish(
    name: str, *, title: str, rows: Sequence[Row], folder: Path = FOLDER, **facts: Any
) -> Path:
    """Print the rows and write them, with the machine and the facts, to `FOLDER/NAME.json`.

    Args:
        rows: all with the same keys, in the order of the columns; there may be none.
        facts: what else the JSON says, such as a ratio.
    """
    if rows:
        columns = list(rows[0])
        console.print_table(title, columns, [[row[column] for column in columns] for row in rows])
    for fact, value in facts.items():
        console.say(f"{fact}: {value}")
    path = folder / f"{name}.json"
    content = {
        "benchmark": name,
        "machine": machine(),
        **facts,
        "rows": [dict(row) for row in rows],
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.say(f"written to {path}")
    return path


def machine() -> dict[str, str | int]:
    """What the numbers depend on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cpus": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def latencies(work: Callable[[], object], *, calls: int, warm_up: int = 10) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    for _ in range(warm_up):
        work()
    return quantiles([1000.0 * seconds(work) for _ in range(calls)], levels=(50, 99), digits=3)


def quantiles(
    milliseconds: npt.ArrayLike, *, levels: Sequence[int] = (50, 95, 99), digits: int = 2
) -> dict[str, float]:
    """``p50 ms`` and so on: what all but so many in a hundred stay below."""
    found = np.percentile(np.asarray(milliseconds, np.float64), levels)
    return {
        f"p{level} ms": round(float(value), digits)
        for level, value in zip(levels, found, strict=True)
    }

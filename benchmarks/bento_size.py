"""What a Bento weighs, by part and by build of torch: ``make bench-bento_size``.

A model is trained on a small generated marketplace, and `coldstart build` makes a Bento of it for
each build of torch. What its packages take is counted where they are installed: here.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import ranking, results
from bentos.recommender.build import GIB, MIB
from bentos.recommender.requirements import Torch
from feature_repo.home import Home

PROJECT: Final = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build, weigh and publish."""
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = Home(Path(folder) / "home")
        ranking.trained(home)
        rows = [row(built(home, torch)) for torch in Torch]
    results.publish(
        "bento_size",
        title="What a Bento weighs",
        rows=rows,
        torch_at_hand=version("torch"),
        note="packages as installed here: with CPU-only torch they take less than this",
    )


def built(home: Home, torch: Torch) -> dict[str, Any]:
    """What `coldstart build --json` says, run by itself: Bento reads the variant once a process."""
    command = [sys.executable, "-m", "bentos.recommender.build", "--torch", torch, "--json"]
    told = {**os.environ, "COLDSTART_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=told, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def row(told: dict[str, Any]) -> results.Row:
    """A line of the table."""
    size = told["bytes"]
    return {
        "torch": told["torch"],
        "code MiB": round(size["code"] / MIB, 2),
        "description MiB": round(size["description"] / MIB, 2),
        "model MiB": round(size["model"] / MIB, 2),
        "packages": told["packages"],
        "packages GiB": round(size["installed"] / GIB, 2),
    }


if __name__ == "__main__":
    main()

"""`coldstart build`: a Bento of the service and its model."""

import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "build"
EXAMPLES: Final = """Examples:

  coldstart build

  coldstart build --torch cpu

  cd bentos/recommender && bentoml build --arg torch=cpu    (plain Bento: without the model)
"""


class Torch(StrEnum):
    CUDA = "cuda"
    CPU = "cpu"


def run(
    model: Annotated[
        str | None, typer.Option(help="Tag or version of the model; the served one by default.")
    ] = None,
    torch: Annotated[
        Torch, typer.Option(help="Build of torch: cuda for GPUs too, or cpu, some GB smaller.")
    ] = Torch.CUDA,
    json: console.Json = False,
) -> None:
    """Build a Bento that serves the model, and say what it weighs."""
    command = [sys.executable, "-m", "bentos.recommender.build", "--torch", torch.value]
    named = ["--model", model] if model else []
    done = subprocess.run([*command, *named, *(["--json"] if json else [])], check=False)
    raise typer.Exit(done.returncode)

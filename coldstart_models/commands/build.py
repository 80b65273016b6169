"""`coldstart build`: a Bento of the service and its model."""

import subprocess
import sys
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "build"
EXAMPLES: Final = """Examples:

  coldstart build

  cd bentos/recommender && bentoml build    (the same, by plain Bento)
"""


def run(
    model: Annotated[str, typer.Option(help="Tag or version of the model.")] = "latest",
    json: console.Json = False,
) -> None:
    """Build a Bento that serves the model."""
    command = [sys.executable, "-m", "bentos.recommender.build", "--model", model]
    done = subprocess.run([*command, *(["--json"] if json else [])], check=False)
    raise typer.Exit(done.returncode)

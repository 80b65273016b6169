"""`coldstart serve`: answer over HTTP."""

import os
import sys
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "serve"
EXAMPLES: Final = """Examples:

  coldstart serve

  coldstart serve --open

  coldstart serve --workers 2

  coldstart serve --port 3001 --bento coldstart_recommender:latest
"""


def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Ask for no API key: development on this machine alone.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, envvar="COLDSTART_WORKERS", help="Processes that answer."),
    ] = None,
    bento: Annotated[str | None, typer.Option(help="A built Bento's tag.")] = None,
    config: console.ConfigFile = None,
) -> None:
    """Serve recommendations until interrupted, to who has a key (`coldstart keys new`)."""
    from coldstart_models.api_keys import OPEN_VARIABLE, require_keys
    from coldstart_models.artifacts import find_model
    from coldstart_models.config import CONFIG_VARIABLE, load_config
    from feature_repo.home import Home

    settings = load_config(config).serve
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    if open_to_all:
        os.environ[OPEN_VARIABLE] = "1"
    find_model(Home.current())
    require_keys(Home.current())
    command = [sys.executable, "-m", "bentos.recommender.serve"]
    command += ["--host", host or settings.host, "--port", str(port or settings.port)]
    command += ["--workers", str(workers or settings.workers)]
    os.execv(command[0], command + (["--bento", bento] if bento else []))

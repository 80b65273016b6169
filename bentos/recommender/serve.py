"""Serve the recommender: ``python -m bentos.recommender.serve --port 3000``.

The process becomes ``bentoml serve``: a signal sent to its id reaches Bento, which stops its
workers. These work in the folder of the code; the state folder and the configuration are those that
the caller's folder tells.
"""

import argparse
import os
import sys
from pathlib import Path

from coldstart_models.config import CONFIG_VARIABLE, config_file
from coldstart_models.errors import ConfigError
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.page_cache import read_beside
from feature_repo.snapshot_state import snapshot_state

SERVICE = "bentos.recommender.service:RecommenderService"
ITEM_VECTORS = "item_vector"
PROJECT = Path(__file__).resolve().parents[2]


def command(*, host: str, port: int, bento: str | None = None) -> list[str]:
    """The ``bentoml serve`` command of this checkout's service, or of a built Bento."""
    target = [bento] if bento else [SERVICE, "--working-dir", str(PROJECT)]
    return [sys.executable, "-m", "bentoml", "serve", *target, "--host", host, "--port", str(port)]


def _vector_files(home: Home) -> list[Path]:
    """Of the snapshot of the item vectors, which every worker reads and checks first."""
    state = snapshot_state(home, ITEM_VECTORS)
    if state is None:
        return []
    return sorted((home.vector_snapshots(ITEM_VECTORS) / state.folder).glob("*"))


def main() -> None:
    """Replace this process by ``bentoml serve``."""
    parser = argparse.ArgumentParser(prog="bentos.recommender.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--bento", help="tag of a built Bento; this checkout's code without it")
    parser.add_argument("--workers", type=int, help="processes that answer; else COLDSTART_WORKERS")
    options = parser.parse_args()
    if options.workers is not None:
        if options.workers < 1:
            parser.error(f"--workers is {options.workers}; give 1 or more")
        os.environ["COLDSTART_WORKERS"] = str(options.workers)
    home = Home.current()
    os.environ[HOME_VARIABLE] = str(home.root)
    try:
        configured = config_file()
    except ConfigError as error:
        parser.error(str(error))
    if configured is not None:
        os.environ[CONFIG_VARIABLE] = str(configured.resolve())
    os.environ["BENTOML_HOME"] = str(home.models)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    read_beside(_vector_files(home))
    arguments = command(host=options.host, port=options.port, bento=options.bento)
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main()

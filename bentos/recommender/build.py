"""Build a Bento of the service and the model it serves: ``python -m bentos.recommender.build``."""

import argparse
import json
import os
import sys
from pathlib import Path

from coldstart_models.artifacts import LATEST, find_model
from coldstart_models.errors import ModelError
from feature_repo.home import Home

HERE = Path(__file__).resolve().parent


def build_bento(home: Home, *, model: str = LATEST) -> str:
    """Build a Bento that names the model it serves, in the home's Bento store; returns its tag.

    Bento reads BENTOML_HOME once a process: call this where it is not yet imported, or where
    it already points to `home.models`.
    """
    stored = find_model(home, tag=model)
    os.environ["BENTOML_HOME"] = str(home.models)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    import bentoml
    import yaml  # type: ignore[import-untyped]

    options = yaml.safe_load((HERE / "bentofile.yaml").read_text())
    bento = bentoml.bentos.build(**options, models=[stored.tag], build_ctx=str(HERE))
    return str(bento.tag)


def main() -> None:
    """Print the tag; exit with 2 and one line where there is no model."""
    parser = argparse.ArgumentParser(prog="bentos.recommender.build", description=__doc__)
    parser.add_argument("--model", default=LATEST, help="tag or version of the model to serve")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    home = Home.current()
    try:
        tag = build_bento(home, model=options.model)
    except ModelError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    print(json.dumps({"bento": tag, "bentoml_home": str(home.models)}) if options.json else tag)


if __name__ == "__main__":
    main()

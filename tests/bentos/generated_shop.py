"""A small generated shop made by the commands that people use, for tests that take their time."""

import base64
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer

from feature_repo.home import Home


def generated_shop(folder: Path) -> Home:
    """The marketplace `small`, encoded, aggregated, registered, trained and online."""
    from coldstart_models.commands import aggregate, apply, extract, ingest, materialize, train

    home = Home(folder)
    with patch.dict(os.environ, COLDSTART_HOME=str(home.root)):
        with suppress(typer.Exit):  # its last word is its exit code
            ingest.run(source="marketplace:small")
        extract.run()
        aggregate.run()
        apply.run()
        train.run()
        materialize.run()
    return home


def new_listing(folder: Path) -> tuple[dict[str, Any], Path]:
    """A listing of the marketplace that the shop does not have yet, and its photo."""
    from coldstart_models.commands.demo import _first_good
    from feature_repo.catalogs.marketplace.defects import write_feed

    feed, defects = write_feed(folder, seed=0, as_of=datetime.now(UTC))
    listing = _first_good(feed, set(defects))
    photo = folder / "photo.jpg"
    photo.write_bytes(base64.b64decode(listing.pop("photo_base64")))
    return listing, photo

"""The model that a Bento was built with.

In Bento's own store a Bento names its model, which stands beside it. A container, and a Bento that
was exported, hold it in their folder `models`: there the state folder takes it over, so that a
state folder that was restored without its models is whole again.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from bentos.recommender.state import logger
from feature_repo.home import Home
from validation.whole_files import alone


def packed_tag(bento: Any) -> str | None:
    """The tag of the model that the Bento names; None where there is no Bento, or it names none."""
    named = [str(model.tag) for model in bento.info.all_models] if bento else []
    return named[0] if named else None


def bring_model(bento: Any, home: Home) -> None:
    """Copy the Bento's model into the state folder, where it lacks it."""
    tag = packed_tag(bento)
    if tag is None:
        return
    name, _, version = tag.partition(":")
    packed = Path(bento.path) / "models" / name / version
    kept = home.models / "models" / name / version
    if kept.is_dir() or not packed.is_dir():
        return
    with alone(kept.parent / ".bring.lock"):
        partial = kept.with_name(f".{version}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        if not kept.is_dir():
            shutil.copytree(packed, partial)
            os.replace(partial, kept)
            logger.info("took %s over from the Bento", tag)

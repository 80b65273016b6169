"""A model beside the served one, for an experiment's variant.

The store holds the vectors of the model that was trained last. Training keeps each model's own
beside them (as a link to the table's file, which costs nothing until the next training), and a
challenger takes them up: what was listed since is encoded as for any new listing, and new
listings learn from the customers they have had.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import numpy as np

from coldstart_models.adapting import adapted_rows
from coldstart_models.artifacts import find_model
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ArtifactError
from coldstart_models.recommending import Recommender
from coldstart_models.served_model import read_choice
from feature_repo.event_log import event_log
from feature_repo.home import Home
from validation import tables

KEPT_MODELS: Final = 3
"""So many models' vectors stay; the oldest go, but for the served one and what it replaced."""


def keep_vectors(home: Home, tag: str) -> None:
    """Keep the vectors that the model just made, whatever model is trained next."""
    kept = home.model_vectors(tag)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(home.feature_table("item_vector"), kept)
    except OSError:  # a file system without links
        shutil.copyfile(home.feature_table("item_vector"), kept)
    needed = _chosen_vectors(home)
    by_age = sorted(kept.parent.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    for old in by_age[:-KEPT_MODELS]:
        if old not in needed:
            old.unlink()


def _chosen_vectors(home: Home) -> set[Path]:
    """Of the model that is served, and of the one that a rollback would serve."""
    choice = read_choice(home)
    tags = (choice.tag, *choice.earlier[-1:]) if choice else ()
    return {home.model_vectors(tag) for tag in tags}


def load_challenger(home: Home, *, tag: str) -> Recommender:
    """A recommender by another model than the served one, over the same listings.

    Raises:
        ArtifactError: there is no such model, or its vectors were not kept.
        ContractMismatch: it was trained on other features than the store holds.
    """
    stored = find_model(home, tag=tag)
    if not home.model_vectors(stored.tag).exists():
        raise ArtifactError(
            f"the vectors of {stored.tag} are not kept in {home.model_vectors(stored.tag).parent}; "
            f"the {KEPT_MODELS} newest models' are: take one of these, or train again"
        )
    recommender = Recommender.load(home, tag=stored.tag, kept=True)
    catalogue = load_catalogue(home)
    missing = np.array([not recommender.serves(item_id) for item_id in catalogue.item_ids])
    if missing.any():
        later = catalogue.take(np.flatnonzero(missing))
        recommender.add_listings(later.frame, later.image, later.text)
    events = event_log(home).read([tables.ITEM_ID, tables.EVENT_TYPE]).to_pandas()
    chosen = events.loc[events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES), tables.ITEM_ID]
    adapted_rows(sorted(set(chosen)), home=home, recommender=recommender)
    return recommender

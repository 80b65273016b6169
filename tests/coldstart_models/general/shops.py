"""Shops whose listings are coloured and shaped at random, and whose people choose by shape alone.

A text vector holds a loud part (colour) that content similarity hears and nobody chooses by, and
a quiet part (shape) by which people choose. All shops share that, and no listing or person.
"""

import numpy as np
import pandas as pd

from coldstart_models.benchmark_run import StoredSource
from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.data.interactions import read_interactions
from coldstart_models.data.splits import Split, random_items_split
from coldstart_models.general.shops import Shop, read_shop
from feature_repo.catalogs.source import Ordering
from feature_repo.sources import SourceRecord
from tests.coldstart_models.checkerboard import no_embeddings
from validation import tables

WIDTH, SHAPES, COLOURS = 24, 8, 8
ITEMS, USERS, CHOICES = 240, 150, 8
LOUD, QUIET, NOISE = 1.0, 0.5, 0.1
HASH = "hash-of-the-encoder"


def stored_shop(name: str, *, seed: int, encoder_hash: str = HASH) -> StoredSource:
    """A shop as a store holds it."""
    generator = np.random.default_rng(seed)
    space = np.random.default_rng(99).normal(size=(COLOURS + SHAPES, WIDTH))
    space /= np.linalg.norm(space, axis=1, keepdims=True)
    colours = generator.integers(0, COLOURS, ITEMS)
    shapes = generator.integers(0, SHAPES, ITEMS)
    vectors = LOUD * space[colours] + QUIET * space[COLOURS + shapes]
    vectors = (vectors + NOISE * generator.normal(size=vectors.shape)).astype(np.float32)
    ids = np.array([f"{name}-{number:03d}" for number in range(ITEMS)], dtype=object)
    items = pd.DataFrame(
        {
            tables.ITEM_ID: ids,
            tables.TITLE: [f"thing {name} {number}" for number in range(ITEMS)],
            tables.SOURCE: name,
        }
    )
    items[tables.LISTED_AT] = pd.Series(pd.NaT, index=items.index, dtype="datetime64[us, UTC]")
    frame = tables.ITEMS.to_pandas(tables.ITEMS.to_arrow(items))
    text = Embeddings(vectors, np.ones(ITEMS, bool), "tiny", encoder_hash)
    catalogue = Catalogue(ids, frame, no_embeddings(ITEMS), text)
    rows = []
    for user in range(USERS):
        liked = np.flatnonzero(shapes == user % SHAPES)
        for item in generator.choice(liked, size=min(CHOICES, len(liked)), replace=False):
            rows.append((f"{name}-u{user:03d}", ids[item]))
    events = pd.DataFrame(rows, columns=[tables.USER_ID, tables.ITEM_ID]).assign(
        **{
            tables.EVENT_TYPE: tables.PURCHASE,
            tables.EVENT_TIMESTAMP: pd.Timestamp("2000-01-01", tz="UTC"),
        }
    )
    record = SourceRecord(
        name=name,
        spec="",
        prefix="",
        ordering=Ordering.NONE,
        generated=True,
        items=ITEMS,
        events=len(events),
        first_event=None,
        last_event=None,
        ingested_at="2026-11-01T00:00:00+00:00",
        truth=None,
    )
    return StoredSource(record, catalogue, events, None)


def shop(name: str, *, seed: int, encoder_hash: str = HASH) -> Shop:
    return read_shop(stored_shop(name, seed=seed, encoder_hash=encoder_hash), licence="CC0")


def split_of(stored: StoredSource, *, seed: int = 0) -> Split:
    """A fifth of the items held out."""
    interactions = read_interactions(stored.events, stored.catalogue)
    return random_items_split(
        stored.catalogue, interactions, 0.2, seed=seed, timed=False, dated=False
    )

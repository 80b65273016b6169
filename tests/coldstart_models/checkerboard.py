"""A provable world: two groups of users who choose every item of their group and no other.

Titles of a group share their words and no word with the other group, so a ranker that reads
content finds the whole truth and a ranker that does not cannot.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import Catalogue, Embeddings
from coldstart_models.data.interactions import Interactions, read_interactions
from coldstart_models.data.splits import Split, cutoff_split
from coldstart_models.ranker import TrainingSet
from validation import tables

START = datetime(2024, 1, 1, tzinfo=UTC)
CUTOFF = START + timedelta(days=100)
WORDS = {"a": "oak chair", "b": "wool blanket"}
WARM, COLD, USERS = 12, 5, 15
"""Items and users of each group."""

Row = tuple[str, str, float]
"""User, item, day since START."""


def no_embeddings(count: int) -> Embeddings:
    return Embeddings(np.zeros((count, 0), np.float32), np.zeros(count, bool), "", "")


def catalogue_of(items: pd.DataFrame, *, image: Embeddings | None = None) -> Catalogue:
    frame = items.assign(**{tables.SOURCE: "test"}).sort_values(tables.ITEM_ID)
    if tables.LISTED_AT not in frame:
        frame[tables.LISTED_AT] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us, UTC]")
    frame = tables.ITEMS.to_pandas(tables.ITEMS.to_arrow(frame.reset_index(drop=True)))
    ids = frame[tables.ITEM_ID].to_numpy(dtype=object)
    return Catalogue(ids, frame, image or no_embeddings(len(ids)), no_embeddings(len(ids)))


def titled(titles: dict[str, str], **columns: Sequence[object]) -> Catalogue:
    return catalogue_of(
        pd.DataFrame({tables.ITEM_ID: list(titles), tables.TITLE: list(titles.values()), **columns})
    )


def events_of(rows: Iterable[Row], *, event_type: str = tables.PURCHASE) -> pd.DataFrame:
    users, items, days = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            tables.USER_ID: users,
            tables.ITEM_ID: items,
            tables.EVENT_TYPE: event_type,
            tables.EVENT_TIMESTAMP: [START + timedelta(days=day) for day in days],
        }
    )


def board_split() -> tuple[Catalogue, Split]:
    """The board, and its log cut where the cold items begin."""
    catalogue = board()
    log = interactions_of(board_rows(), catalogue)
    return catalogue, cutoff_split(catalogue, log, CUTOFF, dated=True)


def interactions_of(rows: Iterable[Row], catalogue: Catalogue) -> Interactions:
    return read_interactions(events_of(rows), catalogue)


def training_of(rows: Iterable[Row], catalogue: Catalogue, *, dated: bool = True) -> TrainingSet:
    """Every item could be chosen, and every domain is ranked."""
    log, everything = interactions_of(rows, catalogue), np.ones(len(catalogue), bool)
    return TrainingSet(catalogue, log, everything, everything, timed=True, dated=dated)


def board() -> Catalogue:
    """Warm items `a00`… listed on days 0, 3, …, cold ones from the cutoff on, a day apart."""
    rows = []
    for group, words in WORDS.items():
        for number in range(WARM + COLD):
            day = 3 * number if number < WARM else 100 + number - WARM
            rows.append((f"{group}{number:02}", f"{words} {number}", START + timedelta(days=day)))
    columns = [tables.ITEM_ID, tables.TITLE, tables.LISTED_AT]
    return catalogue_of(pd.DataFrame(rows, columns=columns))


def board_rows() -> list[Row]:
    """Each user chooses every item of its group, in user order, within hours of its launch."""
    rows = []
    for group in WORDS:
        for number in range(WARM + COLD):
            day = 3 * number if number < WARM else 100 + number - WARM
            for user in range(USERS):
                rows.append((f"{group}-user{user:02}", f"{group}{number:02}", day + user / 24))
    return rows

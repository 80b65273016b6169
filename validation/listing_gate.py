"""The gate for listings: each alone, among its batch and against the accepted catalogue."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from validation import comparisons, facts, listing_checks, suites, tables
from validation.chunks import Chunk, chunks, slices
from validation.identities import FirstRows
from validation.judging import judged
from validation.photos import Photo, inspect_all
from validation.reference import Reference
from validation.result import GateResult, joined
from validation.rules import NO_RULES, Rules
from validation.spool import Spool
from validation.survey import ItemBatch, ItemSurvey

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Progress = Callable[[int, int], None]


def check_items(
    frame: pd.DataFrame,
    *,
    known_items: pd.DataFrame | None = None,
    now: datetime,
    source: str | None = None,
    photos: bool = True,
    known_photos: pd.DataFrame | None = None,
    reference: Reference | None = None,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> GateResult:
    """Check listings.

    Args:
        frame: canonical column names, raw values; other columns are left out.
        known_items: what was accepted before, `item_id`, `source` and what else is known of it;
            an id that another source owns is quarantined, one of the same source is an update.
            Listings are compared with it: a category, price, currency, script or language that it
            does not have is warned of.
        source: value of `source` where the frame has no such column.
        photos: whether to decode the photos.
        known_photos: `item_id` and `fingerprint` of the photos accepted before.
        reference: what `Reference.of` learned of these two, where it is there already.
        rules: what the shop adds.
        progress: told photos done and in all.

    Raises:
        MissingColumnError: there is no `item_id` column.
    """
    paths = frame.get(tables.IMAGE_PATH, pd.Series(dtype=object))
    return joined(
        items_in_parts(
            slices(frame, rules=rules),
            reference=reference or Reference.of(known_items, photos=known_photos),
            now=now,
            source=source,
            photos=int(paths.notna().sum()) if photos else None,
            rules=rules,
            progress=progress,
        )
    )


def items_in_parts(
    parts: Iterable[pd.DataFrame],
    *,
    reference: Reference,
    now: datetime,
    source: str | None = None,
    photos: int | None = 0,
    rules: Rules = NO_RULES,
    progress: Progress | None = None,
) -> Iterator[GateResult]:
    """Check listings that come in parts; one result a part, after all parts were read.

    Args:
        parts: frames of the same columns, at least one, each small enough to hold some copies of.
        photos: how many there are, for `progress`, 0 if nobody knows; None to leave them closed.

    See `check_items` for the other arguments.
    """
    batch, spool = _surveyed_items(
        parts, reference=reference, now=now, source=source, photos=photos, progress=progress
    )
    suite = suites.items(
        now=now,
        present=batch.present,
        photos=photos is not None,
        compared=comparisons.made(photos=photos is not None),
        rules=rules,
    )
    judge = partial(
        _judged_items,
        batch=batch,
        reference=reference,
        suite=suite,
        first_rows=FirstRows(batch.repeated),
        now=now,
    )
    yield from map(judge, spool)


def _surveyed_items(
    parts: Iterable[pd.DataFrame],
    *,
    reference: Reference,
    now: datetime,
    source: str | None,
    photos: int | None,
    progress: Progress | None,
) -> tuple[ItemBatch, Spool[Chunk]]:
    """Read all parts: what their rows are to each other, and the chunks to be judged."""
    survey, spool, opened = ItemSurvey(reference), Spool[Chunk](), 0
    required = (tables.ITEM_ID,)
    for chunk in chunks(parts, tables.ITEMS, required=required, source=source, now=now):
        if photos is not None:
            paths = chunk.coerced.frame[tables.IMAGE_PATH]
            chunk = _with_photos(chunk, paths, done=opened, photos=photos, progress=progress)
            opened += int(paths.notna().sum())
        survey.add(chunk.raw, chunk.coerced.frame, chunk.fingerprints)
        spool.add(chunk)
    return survey.facts(), spool


def _with_photos(
    chunk: Chunk, paths: pd.Series, *, done: int, photos: int, progress: Progress | None
) -> Chunk:
    """The chunk with what its photos show.

    Args:
        paths: (n,) of its photos.
        done: photos opened before.
    """

    def told(now_done: int, _: int) -> None:
        if progress is not None:
            progress(done + now_done, photos)

    seen = inspect_all(paths.dropna().tolist(), progress=told)
    photos_of_rows = [seen.get(path, Photo()) for path in paths]
    bits = [photo.bits for photo in photos_of_rows]
    prints = [photo.fingerprint for photo in photos_of_rows]
    return replace(
        chunk,
        problems=pd.Series(bits, index=paths.index, dtype=np.int64),
        fingerprints=pd.Series(prints, index=paths.index, dtype=object),
    )


def _judged_items(
    chunk: Chunk,
    *,
    batch: ItemBatch,
    reference: Reference,
    suite: "ExpectationSuite",
    first_rows: FirstRows,
    now: datetime,
) -> GateResult:
    listings = chunk.coerced.frame
    owners = reference.other_owners(listings)
    compared = comparisons.compare(listings, reference, batch, offset=chunk.offset)
    found = {name: facts.holds(listings.index, rows) for name, rows in compared.items()}
    found[suites.OWN] = owners.isna()
    if chunk.problems is not None:
        found[listing_checks.PHOTO] = chunk.problems
    taken = {row: repr(owner) for row, owner in facts.labelled(owners.dropna())}
    return judged(
        tables.ITEMS,
        chunk,
        found=found,
        suite=suite,
        first_rows=first_rows,
        details={"id_of_another_source": taken, **compared},
        now=now,
        notes=facts.absences(batch.present) if batch.received else (),
    )

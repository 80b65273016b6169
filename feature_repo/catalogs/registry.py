"""The sources by name: ``KIND``, ``KIND:FOLDER`` or ``marketplace:SIZE`` → a source, read."""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd

from feature_repo.catalogs.columns import nearest
from feature_repo.catalogs.source import SourceData, SourceError, SourceParts
from validation import tables

Progress = Callable[[int, int], None]

MARKETPLACE: Final = "marketplace"
COMPLETE_JOURNEY: Final = "complete-journey"
TABLE: Final = "table"
AMAZON_REVIEWS: Final = "amazon-reviews"
HM: Final = "hm"

FORMS: Final = {
    MARKETPLACE: "marketplace or marketplace:small, marketplace:demo",
    COMPLETE_JOURNEY: "complete-journey",
    TABLE: "table:DIR",
    AMAZON_REVIEWS: "amazon-reviews:DIR",
    HM: "hm:DIR",
}
FOLDERS: Final = (TABLE, AMAZON_REVIEWS, HM)
SIZES: Final = ("demo", "small")


def open_source(
    spec: str,
    *,
    photos: Path,
    seed: int = 0,
    as_of: datetime,
    mapping: Path | None = None,
    prefix: str = "",
    progress: Progress | None = None,
) -> SourceData:
    """Read the source that `spec` names.

    Args:
        spec: one of `FORMS`.
        photos: where a source that makes or unpacks photos puts them.
        seed: of a generated source.
        as_of: when a generated source's log ends.
        mapping: a `mapping.toml` elsewhere than in the folder of ``table:DIR``.
        prefix: put before every item id and event id, where two sources use the same ids.
            User ids stay: a user of two sources is one user.

    Raises:
        SourceError: no such source, or it cannot be read.
    """
    kind, argument = _parted(spec)
    if mapping is not None and kind != TABLE:
        raise SourceError(f"a mapping goes with table:DIR, not with {spec!r}")
    if kind == MARKETPLACE:
        from feature_repo.catalogs import marketplace

        size = marketplace.marketplace_size(argument or SIZES[0])
        source = marketplace.read(
            photos=photos, seed=seed, as_of=as_of, size=size, progress=progress
        )
    elif kind == COMPLETE_JOURNEY:
        from feature_repo.catalogs import complete_journey

        source = complete_journey.read()
    elif kind == TABLE:
        from feature_repo.catalogs import table

        source = table.read(Path(argument).expanduser(), mapping=mapping)
    elif kind == AMAZON_REVIEWS:
        from feature_repo.catalogs import amazon_reviews

        source = amazon_reviews.read(Path(argument).expanduser(), progress=progress)
    else:
        from feature_repo.catalogs import hm

        source = hm.read(Path(argument).expanduser())
    return prefixed(source, prefix)


def open_parts(
    what: str,
    *,
    rows: int | None,
    photos: Path,
    as_of: datetime,
    mapping: Path | None = None,
    progress: Progress | None = None,
) -> SourceParts:
    """Read a file of listings, a folder of tables or another source part by part.

    Args:
        what: a file, a folder or a source as `open_source` takes it.
        rows: of a part; None for all in one. A source without files comes in one.

    Raises:
        SourceError: see `open_source`, some of it once the parts are gone through.
    """
    from feature_repo.catalogs import files, table

    path = Path(what)
    if path.is_file() or path.name.lower().endswith(files.ENDINGS):
        if mapping is not None:
            raise SourceError(f"a mapping goes with table:DIR, not with the file {what}")
        return SourceParts(path.stem, table.item_parts(path, rows=rows), None)
    kind, argument = (TABLE, what) if path.is_dir() else _parted(what)
    if kind == TABLE:
        return table.parts(Path(argument).expanduser(), mapping=mapping, rows=rows)
    source = open_source(what, photos=photos, as_of=as_of, mapping=mapping, progress=progress)
    events = None if source.events.empty else iter([source.events])
    return SourceParts(source.name, iter([source.items]), events, source.generated)


def resolved(spec: str) -> str:
    """The spec with its folder absolute, so that one source has one name from anywhere."""
    kind, argument = _parted(spec)
    return f"{kind}:{Path(argument).expanduser().resolve()}" if kind in FOLDERS else spec


def folder_of(spec: str) -> Path | None:
    """The folder of ``KIND:FOLDER``; None for a source without one."""
    kind, argument = _parted(spec)
    return Path(argument).expanduser() if kind in FOLDERS else None


def prefixed(source: SourceData, prefix: str) -> SourceData:
    """The source with `prefix` before its item ids and event ids; null stays null."""
    if not prefix:
        return source

    def with_prefix(frame: pd.DataFrame) -> pd.DataFrame:
        keys = [key for key in (tables.ITEM_ID, tables.EVENT_ID) if key in frame]
        return frame.assign(
            **{key: (prefix + frame[key]).where(frame[key].notna(), None) for key in keys}
        )

    truth = source.truth
    return dataclasses.replace(
        source,
        items=with_prefix(source.items),
        events=with_prefix(source.events),
        truth=None if truth is None else with_prefix(truth),
    )


def _parted(spec: str) -> tuple[str, str]:
    """Kind and argument of a spec, checked."""
    kind, _, argument = spec.partition(":")
    if kind not in FORMS:
        raise SourceError(
            f"unknown source {spec!r}{nearest(kind, FORMS)} (known: {'; '.join(FORMS.values())})"
        )
    if kind in FOLDERS and not argument:
        raise SourceError(f"source {spec!r} names no folder; expected {FORMS[kind]}")
    if kind == COMPLETE_JOURNEY and argument:
        raise SourceError(f"source {spec!r} takes nothing after its name; expected {kind!r}")
    if kind == MARKETPLACE and argument not in ("", *SIZES):
        raise SourceError(
            f"unknown size {argument!r} in {spec!r}{nearest(argument, SIZES)} "
            f"(known: {', '.join(SIZES)})"
        )
    return kind, argument

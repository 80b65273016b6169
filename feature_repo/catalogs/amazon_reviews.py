"""``amazon-reviews:DIR``: Amazon Reviews 2023 and 2018 (McAuley Lab), files as they come.

Of every category in the folder (``CATEGORY`` is the file's name and the items' domain):

- 2023: ``meta_CATEGORY.jsonl(.gz)`` and ``CATEGORY.jsonl(.gz)``, or the k-core CSV
  ``CATEGORY.csv`` (also split as ``CATEGORY.train.csv`` …):
  ``user_id,parent_asin,rating,timestamp[,history]``, times in milliseconds.
- 2018: ``meta_CATEGORY.json(.gz)`` and ``CATEGORY_5.json.gz`` or ``CATEGORY.json.gz``:
  `reviewerID`, `asin`, `overall`, `unixReviewTime` in seconds.

A review is a `rating` event; its text is not read. Photos are not fetched: an item has one
where ``DIR/images/ASIN.jpg`` exists. Averages over all reviews (`average_rating`,
`rating_number`, ranks) tell the future and are left out, and so are dates and article
numbers among the details. ``"$12.99"`` is read as 12.99; a price that is no single number
travels as it is. A line that is no JSON object becomes a row without an id, with its number
and text beside it, for the gate to quarantine.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from feature_repo.catalogs import files, raw
from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.files import Progress
from feature_repo.catalogs.moments import moments
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import tables

NAME: Final = "amazon-reviews"
META: Final = "meta_"
LAYOUT: Final = re.compile(
    r"^(?P<meta>meta_)?(?P<category>.+?)(?P<core>_\d+(core)?)?(?P<part>\.(train|valid|test))?"
    r"(?P<ending>\.(jsonl|json|csv)(\.gz)?)$"
)
PRICE: Final = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")
TELLING_NOTHING: Final = re.compile(
    r"date|number|rank|upc|asin|isbn|gtin|\bid\b|available|discontinued", re.IGNORECASE
)
CSV_COLUMNS: Final = ("user_id", "parent_asin", "rating", "timestamp")


class _File(NamedTuple):
    path: Path
    category: str
    kind: str
    """``core``-less stem, to tell two copies of one log from the parts of one."""


def read(folder: Path, *, progress: Progress | None = None) -> SourceData:
    """Read every category in the folder, line by line.

    Raises:
        SourceError: no meta file, no reviews of a category, or two copies of its reviews.
    """
    folder = files.existing_folder(folder)
    metas, reviews = _listing(folder)
    if not metas:
        raise SourceError(
            f"{folder} has no meta file; expected e.g. meta_Home_and_Kitchen.jsonl.gz (2023) or "
            "meta_Home_and_Kitchen.json.gz (2018)"
        )
    _refuse_unpaired(folder, metas, reviews)
    items = files.object_frame(list(_item_rows(metas, progress)))
    if items.empty:
        raise SourceError(f"{', '.join(file.path.name for file in metas)} hold no items")
    item_ids = raw.text(items[tables.ITEM_ID])
    items[tables.ITEM_ID] = item_ids
    items[tables.IMAGE_PATH] = raw.photos_beside(item_ids, folder / "images")
    items[tables.SOURCE] = NAME
    events = pd.concat([_events(file, progress) for file in reviews], ignore_index=True)
    return SourceData(NAME, items, events, Ordering.TIME)


def _listing(folder: Path) -> tuple[list[_File], list[_File]]:
    metas: list[_File] = []
    reviews: list[_File] = []
    for path in sorted(folder.iterdir()):
        matched = LAYOUT.match(path.name) if path.is_file() else None
        if matched is None:
            continue
        kind = f"{matched['core'] or ''}{matched['ending']}"
        (metas if matched["meta"] else reviews).append(_File(path, matched["category"], kind))
    return metas, reviews


def _refuse_unpaired(folder: Path, metas: list[_File], reviews: list[_File]) -> None:
    described = {file.category for file in metas}
    reviewed = {file.category for file in reviews}
    for category in sorted(described - reviewed):
        raise SourceError(
            f"{folder} has the meta file of {category} but not its reviews; expected "
            f"{category}.jsonl(.gz), {category}.csv or {category}_5.json.gz"
        )
    for category in sorted(reviewed - described):
        raise SourceError(
            f"{folder} has reviews of {category} but not meta_{category}.jsonl(.gz) or "
            f"meta_{category}.json(.gz)"
        )
    for group in (metas, reviews):
        for category in sorted(described):
            kinds = {file.kind for file in group if file.category == category}
            if len(kinds) > 1:
                names = [file.path.name for file in group if file.category == category]
                raise SourceError(
                    f"{folder} holds {' and '.join(names)}, copies of one file; keep one"
                )


def _item_rows(metas: Iterable[_File], progress: Progress | None) -> Iterator[dict[str, object]]:
    for file in metas:
        for number, entry, text in files.json_lines(file.path, progress=progress):
            yield _unread(file, number, text) if entry is None else _item(entry, file.category)


def _unread(file: _File, number: int, text: str) -> dict[str, object]:
    return {
        tables.ITEM_ID: None,
        UNREADABLE: f"{file.path.name}, {files.unreadable(number, text)}",
    }


def _item(entry: dict[str, object], category: str) -> dict[str, object]:
    price = parsed_price(entry.get("price"))
    features = entry.get("features", entry.get("feature"))
    texts = [part for value in (entry.get("description"), features) for part in _texts(value)]
    path = _texts(entry.get("categories") or entry.get("category") or entry.get("main_category"))
    return {
        tables.ITEM_ID: entry.get("parent_asin", entry.get("asin")),
        tables.TITLE: entry.get("title"),
        tables.DESCRIPTION: " ".join(texts) or None,
        tables.CATEGORY: raw.CATEGORY_SEPARATOR.join(path) or None,
        tables.BRAND: entry.get("brand") or entry.get("store"),
        tables.PRICE: price,
        tables.CURRENCY: "USD" if price is not None else None,
        tables.ATTRIBUTES: _details(entry.get("details")),
        tables.DOMAIN: category,
    }


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    return []


def parsed_price(value: object) -> object:
    """``"$1,299.00"`` → 1299.0, ``""`` → None; anything else as it came."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    matched = PRICE.fullmatch(value.strip())
    return float(matched[1].replace(",", "")) if matched else value


def _details(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    kept = {
        str(name): raw.plain_value(entry)
        for name, entry in value.items()
        if entry not in (None, "") and not TELLING_NOTHING.search(str(name))
    }
    return raw.json_object(kept)


def _events(file: _File, progress: Progress | None) -> pd.DataFrame:
    log = _csv_log(file.path) if ".csv" in file.path.name else _json_log(file, progress)
    for name in (tables.USER_ID, tables.ITEM_ID):
        log[name] = raw.text(log[name])
    log[tables.EVENT_TYPE] = tables.RATING
    log[tables.EVENT_TIMESTAMP] = moments(
        log[tables.EVENT_TIMESTAMP], where=f"of times in {file.path.name}"
    )
    log[tables.SOURCE] = NAME
    return log


def _csv_log(path: Path) -> pd.DataFrame:
    frame = files.read_table(path)
    missing = [name for name in CSV_COLUMNS if name not in frame]
    if missing:
        raise SourceError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(frame.columns)}, "
            f"expected {', '.join(CSV_COLUMNS)}"
        )
    names = (tables.USER_ID, tables.ITEM_ID, tables.VALUE, tables.EVENT_TIMESTAMP)
    log = pd.DataFrame(
        {name: frame[theirs] for name, theirs in zip(names, CSV_COLUMNS, strict=True)}
    )
    return log.assign(**{UNREADABLE: frame[UNREADABLE]}) if UNREADABLE in frame else log


def _json_log(file: _File, progress: Progress | None) -> pd.DataFrame:
    users: list[object] = []
    item_ids: list[object] = []
    ratings: list[object] = []
    times: list[object] = []
    notes: dict[int, str] = {}
    for number, entry, text in files.json_lines(file.path, progress=progress):
        if entry is None:
            notes[len(users)] = f"{file.path.name}, {files.unreadable(number, text)}"
            entry = {}
        users.append(entry.get("user_id", entry.get("reviewerID")))
        item_ids.append(entry.get("parent_asin", entry.get("asin")))
        ratings.append(entry.get("rating", entry.get("overall")))
        times.append(entry.get("timestamp", entry.get("unixReviewTime")))
    log = pd.DataFrame(
        {
            tables.USER_ID: pd.Series(users, dtype=object),
            tables.ITEM_ID: pd.Series(item_ids, dtype=object),
            tables.VALUE: pd.Series(ratings, dtype=object),
            tables.EVENT_TIMESTAMP: pd.Series(times, dtype=object),
        }
    )
    if notes:
        log[UNREADABLE] = pd.Series(notes, dtype=object).reindex(log.index)
    return log

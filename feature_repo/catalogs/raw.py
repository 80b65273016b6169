"""Values as sources hold them → the shapes the canonical tables ask for.

Only the shape changes: a number becomes text where the column is text, a list becomes one
text, extra columns become one JSON object. What has no such reading travels as it is.
"""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

CATEGORY_SEPARATOR: Final = " > "
UNREADABLE_JSON: Final = (ValueError, RecursionError)
"""What Python raises of text that is no JSON, nests too deep or has a number of too many digits."""


def text(values: pd.Series, *, separator: str = " ") -> pd.Series:
    """The column as text: 536365 → ``"536365"``, 536365.0 → ``"536365"``, lists joined.

    Strings stay as they are (leading zeros too), and so do bytes that are none; null stays null.
    """
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return values.astype(object).where(values.notna(), None)
    return pd.Series(
        [
            value if isinstance(value, bytes) else _as_text(value, separator)
            for value in values.tolist()
        ],
        index=values.index,
        dtype=object,
    )


def attributes(frame: pd.DataFrame, columns: Sequence[str], own: str | None) -> pd.Series:
    """One JSON object a row from the extra `columns`, keys sorted, nulls and "" dropped.

    Args:
        own: the column that already holds attributes, as an object or as JSON; its entries
            are added to. Other text is kept under its name, but one that begins as a JSON
            object and is none is the row's whole value, so that the gate sees it.
    """
    names = [*columns, *([own] if own is not None else [])]
    if not names:
        return pd.Series([None] * len(frame), index=frame.index, dtype=object)
    lists = [frame[name].tolist() for name in names]
    rows: list[str | None] = []
    for values in zip(*lists, strict=True):
        entries = {
            name: plain
            for name, plain in zip(names, map(plain_value, values), strict=True)
            if plain not in (None, "", [], {})
        }
        broken = own is not None and _broken_object(entries.get(own))
        if own is not None and own in entries and not broken:
            entries = _merged(entries, own)
        rows.append(str(entries[own]) if own is not None and broken else json_object(entries))
    return pd.Series(rows, index=frame.index, dtype=object)


def json_object(entries: dict[str, object]) -> str | None:
    """The entries as JSON with sorted keys, or None if there are none."""
    return json.dumps(entries, sort_keys=True, ensure_ascii=False) if entries else None


def photos(values: pd.Series, folder: Path) -> pd.Series:
    """Absolute photo paths: what is relative is relative to `folder`; null stays null.

    A list or a number is no path and travels as it is, so that the gate says so.
    """

    def absolute(value: object) -> object:
        if isinstance(value, str):
            return value if "://" in value else str(folder / value) if value else None
        return None if plain_value(value) is None else value

    return pd.Series(
        [absolute(value) for value in values.tolist()], index=values.index, dtype=object
    )


def photos_beside(item_ids: pd.Series, folder: Path) -> pd.Series | None:
    """Paths of ``FOLDER/ITEM_ID.jpg`` where there is such a file; None without any."""
    if not folder.is_dir():
        return None
    endings = (".jpg", ".jpeg", ".png", ".webp")
    found = {
        path.stem: str(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in endings
    }
    paths = item_ids.map(found)
    return paths.astype(object).where(paths.notna(), None) if paths.notna().any() else None


def plain_value(value: object) -> object:
    """A value as JSON has it; null of any kind is None."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) else str(value)


def _as_text(value: object, separator: str) -> str | None:
    plain = plain_value(value)
    if plain is None or isinstance(plain, str):
        return plain
    if isinstance(plain, float) and plain.is_integer():
        return str(int(plain))
    if isinstance(plain, list):
        parts = [part for part in (_as_text(entry, separator) for entry in plain) if part]
        return separator.join(parts) if parts else None
    if isinstance(plain, dict):
        return json_object(plain)
    return str(plain)


def _broken_object(content: object) -> bool:
    """Whether text begins as a JSON object and is none."""
    if not isinstance(content, str) or not content.lstrip().startswith("{"):
        return False
    try:
        json.loads(content)
    except UNREADABLE_JSON:
        return True
    return False


def _merged(entries: dict[str, object], own: str) -> dict[str, object]:
    """The entries with the object under `own` lifted beside the others."""
    content = entries[own]
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except UNREADABLE_JSON:
            return entries
    if not isinstance(content, dict):
        return entries
    rest = {name: value for name, value in entries.items() if name != own}
    return {**rest, **content}

"""Facts about rows that their suites ask for: what its photo holds, where its vector lies."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from validation import tables, vectors
from validation.photos import Photo

LONGEST_LINE: Final = 200
WISHED: Final = (tables.TITLE, tables.CATEGORY, tables.PRICE, tables.IMAGE_PATH, tables.LISTED_AT)
"""Optional columns of listings whose absence from the whole table is worth a note."""


def present_columns(raw: pd.DataFrame) -> set[str]:
    """Columns in which at least one row has a value."""
    return {str(name) for name in raw.columns if raw[name].notna().any()}


def absences(present: Collection[str]) -> tuple[str, ...]:
    """A note where no listing has a value in an optional column that helps the models.

    Args:
        present: the columns in which some listing has one.
    """
    absent = [name for name in WISHED if name not in present]
    return (f"no row of items has {', '.join(absent)}; the models do without",) if absent else ()


def lines_read(raw: pd.DataFrame) -> pd.Series:
    """Whether each row's line could be read from its file."""
    if tables.UNREADABLE not in raw:
        return pd.Series(True, index=raw.index)
    return raw[tables.UNREADABLE].isna()


def unread_lines(raw: pd.DataFrame) -> dict[int, str]:
    """Row → the text of the line that could not be read."""
    if tables.UNREADABLE not in raw:
        return {}
    lines = raw[tables.UNREADABLE].dropna()
    return {row: str(text)[:LONGEST_LINE] for row, text in labelled(lines)}


def labelled(values: pd.Series) -> list[tuple[int, object]]:
    """Row number and value of each."""
    return list(zip(values.index.to_numpy(dtype=np.int64).tolist(), values.tolist(), strict=True))


def holds(index: pd.Index, failing: Collection[int]) -> pd.Series:
    """Whether a fact holds of each row: of all but the failing ones."""
    return pd.Series(~index.isin(list(failing)), index=index)


def photo_bits(paths: pd.Series, photos: Mapping[str, Photo]) -> pd.Series:
    """The problems of each row's photo as bits, 0 where there is none or no photo."""
    bits = {path: photo.bits for path, photo in photos.items()}
    return pd.Series([bits.get(path, 0) for path in paths], index=paths.index, dtype=np.int64)


def vector(value: object) -> np.ndarray | None:
    """The value as a float32 vector, or None if it is none."""
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 else None


def vector_size(array: np.ndarray | None) -> str:
    """How a sentence names what a vector holds."""
    return "no vector" if array is None else f"{len(array)} numbers"


def sound_vectors(arrays: Sequence[np.ndarray | None], width: int) -> dict[int, np.ndarray]:
    """Row → its vector, where it has `width` finite numbers that are not all zero."""
    return {
        row: array
        for row, array in enumerate(arrays)
        if array is not None and len(array) == width and np.isfinite(array).all() and array.any()
    }


def near_others(
    sound: Mapping[int, np.ndarray], count: int, reference: vectors.FloatMatrix | None
) -> tuple[pd.Series, dict[int, str]]:
    """(count,) whether each row's vector is near the reference's, and what to say if not."""
    near = pd.Series(True, index=range(count))
    if reference is None or not sound:
        return near, {}
    far = vectors.far_out(np.stack(list(sound.values())), reference)
    told = {
        row: f"{share:.1%}"
        for row, share in zip(sound, far, strict=True)
        if share > vectors.FAR_QUANTILE
    }
    near[list(told)] = False
    return near, told


def vector_notes(
    sound: Mapping[int, np.ndarray], reference: vectors.FloatMatrix | None
) -> tuple[str, ...]:
    """Sentences about the batch as a whole."""
    if len(sound) < 2:
        return ()
    batch, notes = np.stack(list(sound.values())), []
    cosine = vectors.mean_cosine(batch)
    if cosine >= vectors.COLLAPSED:
        notes.append(
            f"the vectors are nearly the same for every item (mean cosine {cosine:.3f}); look at "
            "the encoder and what it was given"
        )
    found = vectors.drift(batch, reference) if reference is not None else None
    if found is not None and found.matters:
        notes.append(
            "the batch drifted from the catalogue (Kolmogorov–Smirnov distance "
            f"{found.effect:.2f}, p = {found.p_value:.1g}); look at its photos and texts before "
            "you train on them"
        )
    return tuple(notes)

"""The gate for vectors: of each alone, of a batch, and of photos against texts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from validation import engine, suites, tables, vectors
from validation.alignment import Alignment, FloatArray
from validation.checks import Severity
from validation.chunks import require_columns
from validation.judging import result_of
from validation.result import GateResult

EMBEDDINGS: Final = "embeddings"
EMBEDDING: Final = "embedding"
PAIRS: Final = "pairs"


def check_embeddings(
    frame: pd.DataFrame,
    *,
    width: int,
    now: datetime,
    column: str = EMBEDDING,
    unit: bool = False,
    zeros: bool = False,
    encoder_hash: str | None = None,
    reference: vectors.FloatMatrix | None = None,
) -> GateResult:
    """Check vectors: `width` finite numbers each, not all zero but with `zeros`, of unit length if
    `unit`.

    The accepted rows keep all their columns; their vectors are float32 arrays.

    Args:
        encoder_hash: that of the encoder all rows must come from, in the column of that name.
        reference: (M, width) vectors of the catalogue. A vector far from all of them is warned
            of; a batch that drifted from them, or says the same of everything, is noted.

    Raises:
        MissingColumnError: `item_id` or the vectors' column is absent.
    """
    required = [tables.ITEM_ID, column]
    if encoder_hash is not None:
        required.append(suites.ENCODER_HASH)
    require_columns(frame, EMBEDDINGS, required, now)
    raw = frame.reset_index(drop=True)
    arrays = [_vector(value) for value in raw[column]]
    cast = raw.assign(**{column: pd.Series(arrays, index=raw.index, dtype=object)})
    sound = _sound(arrays, width)
    suite = suites.embeddings(
        width=width,
        column=column,
        unit=unit,
        zeros=zeros,
        encoder_hash=encoder_hash,
        compared=reference is not None,
    )
    near, details = _near_others(sound, len(raw), reference)
    run = engine.run(suite, cast.assign(**{suites.NEAR: near})[suites.columns_of(suite)])
    blocked = run.rows(Severity.BLOCK)
    return result_of(
        EMBEDDINGS,
        raw,
        accepted=cast.drop(blocked).reset_index(drop=True),
        key=raw[tables.ITEM_ID],
        findings=run.findings,
        details={
            "vector_width": dict(enumerate(map(_size, arrays))),
            "vector_near_others": details,
        },
        validation={str(run.result["suite_name"]): run.result},
        notes=_notes(sound, reference),
        now=now,
    )


def check_pairs(
    frame: pd.DataFrame, *, agreement: FloatArray, alignment: Alignment, now: datetime
) -> GateResult:
    """Check whether photos and texts of listings speak of the same thing; it only warns.

    Args:
        frame: `item_id`, and what else a report should show.
        agreement: (N,) of each row, from `alignment`.
        alignment: what is usual.
    """
    require_columns(frame, PAIRS, (tables.ITEM_ID,), now)
    raw = frame.reset_index(drop=True)
    agrees = agreement >= alignment.threshold
    sure = alignment.confidence(agreement)
    run = engine.run(suites.pairs(), pd.DataFrame({suites.AGREES: agrees}))
    return result_of(
        PAIRS,
        raw,
        accepted=raw,
        key=raw[tables.ITEM_ID],
        findings=run.findings,
        details={
            "photo_matches_text": {int(row): f"{sure[row]:.0%}" for row in np.flatnonzero(~agrees)}
        },
        validation={str(run.result["suite_name"]): run.result},
        notes=(),
        now=now,
    )


def _vector(value: object) -> np.ndarray | None:
    """The value as a float32 vector, or None if it is none."""
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 else None


def _size(array: np.ndarray | None) -> str:
    """How a sentence names what a vector holds."""
    return "no vector" if array is None else f"{len(array)} numbers"


def _sound(arrays: Sequence[np.ndarray | None], width: int) -> dict[int, np.ndarray]:
    """Row → its vector, where it has `width` finite numbers that are not all zero."""
    return {
        row: array
        for row, array in enumerate(arrays)
        if array is not None and len(array) == width and np.isfinite(array).all() and array.any()
    }


def _near_others(
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


def _notes(
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

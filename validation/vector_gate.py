"""The gate for vectors: of each alone, of a batch, and of photos against texts."""

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from validation import engine, facts, suites, tables, vectors
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
    encoder_hash: str | None = None,
    reference: vectors.FloatMatrix | None = None,
) -> GateResult:
    """Check vectors: `width` finite numbers each, not all zero, of unit length if `unit`.

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
    arrays = [facts.vector(value) for value in raw[column]]
    cast = raw.assign(**{column: pd.Series(arrays, index=raw.index, dtype=object)})
    sound = facts.sound_vectors(arrays, width)
    suite = suites.embeddings(
        width=width,
        column=column,
        unit=unit,
        encoder_hash=encoder_hash,
        compared=reference is not None,
    )
    near, details = facts.near_others(sound, len(raw), reference)
    run = engine.run(suite, cast.assign(**{suites.NEAR: near})[suites.columns_of(suite)])
    blocked = run.rows(Severity.BLOCK)
    return result_of(
        EMBEDDINGS,
        raw,
        accepted=cast.drop(blocked).reset_index(drop=True),
        key=raw[tables.ITEM_ID],
        findings=run.findings,
        details={
            "vector_width": dict(enumerate(map(facts.vector_size, arrays))),
            "vector_near_others": details,
        },
        validation={str(run.result["suite_name"]): run.result},
        notes=facts.vector_notes(sound, reference),
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

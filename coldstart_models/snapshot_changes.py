"""The next version of a snapshot, in which some listings are as another process left them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import BoolArray
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from validation import tables

if TYPE_CHECKING:
    from coldstart_models.catching_up import Standing


@dataclass(frozen=True, slots=True)
class Taught:
    """Listings whose lesson is another one now."""

    learned: tuple[str, ...] = ()
    forgot: tuple[str, ...] = ()


def taken_up(snapshot: Snapshot, stands: "Standing") -> tuple[Snapshot, BoolArray, Taught]:
    """The snapshot itself where nothing differs.

    Returns also (K,) which of the listings that stand are another one, or new; and which of them
    have another lesson.
    """
    gone = [item_id for item_id in stands.gone if item_id in snapshot.position]
    if gone:
        snapshot = snapshot.without_items(gone)
    changed = _unlike(snapshot, stands)
    if changed.any():
        items = stands.items[changed].reset_index(drop=True)
        snapshot = snapshot.with_items(items, stands.rows[changed])
    snapshot, taught = _with_lessons(snapshot, stands)
    return snapshot, changed, taught


def _unlike(snapshot: Snapshot, stands: "Standing") -> BoolArray:
    """(K,): whether what is served of a listing differs from how it stands."""
    columns = [name for name in ITEM_COLUMNS if name in stands.items]
    told = stands.items[columns].itertuples(index=False, name=None)
    differs = np.ones(len(stands.items), bool)
    for place, (item_id, values) in enumerate(zip(stands.items[tables.ITEM_ID], told, strict=True)):
        row = snapshot.position.get(item_id)
        if row is None or not np.array_equal(snapshot.rows[row], stands.rows[place]):
            continue
        known = [snapshot.items[name].iat[row] for name in columns]
        differs[place] = not all(_same(a, b) for a, b in zip(known, values, strict=True))
    return differs


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a column are equal, or both are absent."""
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    return bool(one == other)


def _with_lessons(snapshot: Snapshot, stands: "Standing") -> tuple[Snapshot, Taught]:
    """With what the listings learned by now; one without a lesson forgets what it had.

    What another model learned says nothing of what this one did.
    """
    rows, deltas, biases, support = [], [], [], []
    learned, forgot = list[str](), list[str]()
    for item_id in stands.items[tables.ITEM_ID]:
        if item_id in stands.elsewhere:
            continue
        row, lesson = snapshot.position[item_id], stands.lessons.get(item_id)
        delta = lesson.delta if lesson else np.zeros(snapshot.deltas.shape[1], np.float32)
        bias, count = (lesson.bias, lesson.support) if lesson else (0.0, 0)
        same = snapshot.biases[row] == np.float32(bias) and snapshot.support[row] == count
        if not same or not np.array_equal(snapshot.deltas[row], delta):
            rows.append(row)
            deltas.append(delta)
            biases.append(bias)
            support.append(count)
            (learned if lesson else forgot).append(item_id)
    if not rows:
        return snapshot, Taught()
    later = snapshot.with_lessons(
        np.array(rows, np.int64),
        np.stack(deltas),
        np.array(biases, np.float32),
        np.array(support, np.int64),
    )
    return later, Taught(tuple(learned), tuple(forgot))

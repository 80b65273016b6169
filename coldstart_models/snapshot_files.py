"""Reading a snapshot of what training, events and first customers left in the state folder."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from coldstart_models.data.catalogue import BoolArray, moments_us
from coldstart_models.data.newness import new_listings
from coldstart_models.errors import ArtifactError
from coldstart_models.sales import READ, Sales
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.vector_snapshot import Vectors as StoredVectors
from validation import tables


def read_snapshot(home: Home, *, tag: str, widths: dict[str, int], kept: bool = False) -> Snapshot:
    """The items whose vectors the model made. Raises ArtifactError where there are none.

    Args:
        kept: read the vectors that training kept of the model, not the store's.
    """
    from feature_repo.store import Store

    store = Store(home)
    stored = _kept_vectors(home, tag) if kept else store.vectors("item_vector")
    ours = stored.tags == tag
    if not ours.any():
        raise ArtifactError(
            f"item_vector in {home.features} holds no vector of {tag}; run `coldstart train`, "
            "or name a model whose vectors are there"
        )
    items = tables.ITEMS.to_pandas(pq.read_table(home.items)).set_index(tables.ITEM_ID)
    served = pd.Index(stored.item_ids).isin(items.index) & ours
    item_ids = stored.item_ids[served]
    items = items.loc[list(item_ids)].reset_index()
    log = event_log(home).state()
    events = log.read(READ).to_pandas()
    adaptations = store.vectors("item_adaptation")
    learned = _learned_of(home, tag)
    deltas = np.zeros((len(item_ids), sum(widths.values())), np.float32)
    biases = np.zeros(len(item_ids), np.float32)
    counts = np.zeros(len(item_ids), np.int64)
    new = _new(items, events)
    position = {item_id: row for row, item_id in enumerate(item_ids) if new[row]}
    for item_id, delta, made_by in zip(
        adaptations.item_ids, adaptations.matrix, adaptations.tags, strict=True
    ):
        if made_by == tag and item_id in position:
            row = position[item_id]
            deltas[row] = delta
            biases[row], counts[row] = learned[item_id]
    return Snapshot(
        version=1,
        items=items[list(ITEM_COLUMNS)],
        rows=stored.matrix if served.all() else stored.matrix[served],
        widths=widths,
        new=new,
        deltas=deltas,
        biases=biases,
        support=counts,
        model=tag,
        sales=Sales.of(events, item_ids, position=log.position),
    )


def _new(items: pd.DataFrame, events: pd.DataFrame) -> BoolArray:
    """(N,) which of canonical items are new by canonical events."""
    positive = events[events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    chosen = items[tables.ITEM_ID].isin(positive[tables.ITEM_ID].unique()).to_numpy(bool)
    newest = int(moments_us(positive[tables.EVENT_TIMESTAMP]).max()) if len(positive) else None
    return new_listings(moments_us(items[tables.LISTED_AT]), chosen, newest_us=newest)


def _kept_vectors(home: Home, tag: str) -> StoredVectors:
    path = home.model_vectors(tag)
    try:
        table = pq.read_table(path, columns=[tables.ITEM_ID, "vector", "model"])
    except pa.ArrowException as error:
        raise ArtifactError(
            f"{path} cannot be read, it may be torn: {error}; run `coldstart train` again"
        ) from error
    flat = np.asarray(table["vector"].combine_chunks().flatten(), dtype=np.float32)
    return StoredVectors(
        item_ids=table[tables.ITEM_ID].to_numpy().astype(object),
        matrix=flat.reshape(table.num_rows, -1),
        tags=table["model"].to_numpy().astype(object),
    )


def _learned_of(home: Home, tag: str) -> dict[str, tuple[float, int]]:
    """item_id → bias and support of the model's newest adaptation."""
    columns = [tables.ITEM_ID, "bias", "support", "model", tables.EVENT_TIMESTAMP]
    frame = pq.read_table(home.feature_table("item_adaptation"), columns=columns).to_pandas()
    frame = frame[frame["model"] == tag].sort_values(tables.EVENT_TIMESTAMP, kind="stable")
    newest = frame.drop_duplicates(tables.ITEM_ID, keep="last")
    learned = zip(newest["bias"].astype(float), newest["support"].astype(int), strict=True)
    return dict(zip(newest[tables.ITEM_ID], learned, strict=True))

"""The accepted photos' fingerprints, kept so that the gate finds a copy in a later batch.

They change together with the catalogue, as one of its files.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.home import Home
from validation import tables
from validation.contents import FINGERPRINT
from validation.result import GateResult

SCHEMA = pa.schema([(tables.ITEM_ID, pa.string()), (FINGERPRINT, pa.uint64())])


def known_fingerprints(home: Home) -> pd.DataFrame:
    """`item_id` and `fingerprint` of the accepted photos; empty where none was kept."""
    kept = home.photo_fingerprints
    table = pq.read_table(kept, schema=SCHEMA) if kept.exists() else SCHEMA.empty_table()
    frame: pd.DataFrame = table.to_pandas()
    return frame


def fingerprints_of(home: Home, *, item_ids: pd.Series) -> pa.Table:
    """What is kept of some items' photos."""
    known = known_fingerprints(home)
    some = known[known[tables.ITEM_ID].isin(item_ids)]
    return pa.Table.from_pandas(some, schema=SCHEMA, preserve_index=False)


def grown_fingerprints(result: GateResult, *, home: Home, item_ids: pd.Series) -> pa.Table | None:
    """With what the gate saw of the accepted photos, without items that are not in `item_ids`;
    None where no photo was looked at.
    """
    if result.fingerprints is None:
        return None
    before = known_fingerprints(home)
    stay = before[
        before[tables.ITEM_ID].isin(item_ids)
        & ~before[tables.ITEM_ID].isin(result.accepted[tables.ITEM_ID])
    ]
    both = pd.concat([stay, result.fingerprints]).sort_values(tables.ITEM_ID)
    return pa.Table.from_pandas(both, schema=SCHEMA, preserve_index=False)

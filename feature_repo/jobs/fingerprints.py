"""The accepted photos' fingerprints, kept so that the gate finds a copy in a later batch.

They can be made again from the photos, so they are written after the catalogue and beside it.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.feature_tables import write_table
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


def keep_fingerprints(result: GateResult, *, home: Home, item_ids: pd.Series) -> None:
    """Add what the gate saw of the accepted photos; forget items that are not in `item_ids`."""
    grown = grown_fingerprints(result, home=home, item_ids=item_ids)
    if grown is not None:
        write_table(grown, home.photo_fingerprints)


def grown_fingerprints(result: GateResult, *, home: Home, item_ids: pd.Series) -> pa.Table | None:
    """What `keep_fingerprints` writes; None where no photo was looked at."""
    if result.fingerprints is None:
        return None
    before = known_fingerprints(home)
    stay = before[
        before[tables.ITEM_ID].isin(item_ids)
        & ~before[tables.ITEM_ID].isin(result.accepted[tables.ITEM_ID])
    ]
    both = pd.concat([stay, result.fingerprints]).sort_values(tables.ITEM_ID)
    return pa.Table.from_pandas(both, schema=SCHEMA, preserve_index=False)

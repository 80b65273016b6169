"""What the intake asks of the catalogue: is an item listed, and what its history row needs."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.home import Home
from feature_repo.jobs.arrival import ITEM_COLUMNS
from validation import tables
from validation.identities import Ids
from validation.whole_files import identity_of


@dataclass(frozen=True, slots=True)
class ListedItems:
    """The catalogue at one moment, as far as histories need it."""

    ids: Ids
    rows: pa.Table
    """`ITEM_COLUMNS` of every item."""

    def of(self, item_ids: Collection[str]) -> pd.DataFrame:
        """The rows of some items; those that are not listed have none."""
        wanted = pa.array(sorted(set(item_ids)), type=pa.string())
        found: pd.DataFrame = self.rows.filter(
            pc.is_in(self.rows[tables.ITEM_ID], value_set=wanted)
        ).to_pandas()
        return found


def listed_items(home: Home) -> ListedItems:
    """The catalogue as it is now; read again only when its file was written again."""
    return _read(home.items, identity_of(home.items))


@lru_cache(maxsize=2)
def _read(path: Path, identity: str) -> ListedItems:
    rows = pq.read_table(path, columns=list(ITEM_COLUMNS))
    return ListedItems(Ids.of(rows[tables.ITEM_ID].to_pandas()), rows)

"""Changes of listings that others may change or delete while these are being encoded.

A change names the columns it is about. The row around it is the catalogue's, as it stands when the
change is put there: it was read once before, to judge and encode the listing, and is looked at
again under the catalogue's lock where the file is another one by then.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from feature_repo.home import Home
from validation import tables
from validation.whole_files import identity_of

DELETED_MEANWHILE: Final = (
    "the listing was deleted while its change was being encoded; it stays deleted: send it whole, "
    "as a new one, if it is to come back"
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to change of listings that are there."""

    columns: Mapping[str, Mapping[str, Any]]
    """Item id → column → new raw value."""
    seen: str
    """Identity of the catalogue's file, from before the listings were read."""

    @classmethod
    def of(cls, columns: Mapping[str, Mapping[str, Any]], *, home: Home) -> "Changes":
        """Changes to the catalogue as it is from now on."""
        return cls(columns, identity_of(home.items))

    def made(self, listed: pd.DataFrame, *, item_ids: Collection[str]) -> pd.DataFrame:
        """Some of the listings with their changes, raw values; none that is not listed.

        Args:
            listed: the catalogue.
        """
        rows = listed[listed[tables.ITEM_ID].isin(list(item_ids))]
        raw = rows.astype(object).where(rows.notna(), None)
        changed = [
            {**row, **self.columns[str(row[tables.ITEM_ID])]} for row in raw.to_dict("records")
        ]
        return pd.DataFrame(changed, columns=tables.ITEMS.names, dtype=object)


def changed_ids(before: pd.DataFrame, after: pd.DataFrame) -> set[str]:
    """Ids of the rows of `after` that are other ones than before; raw values, None where absent."""
    known = {row[tables.ITEM_ID]: row for row in before.to_dict("records")}
    return {
        str(row[tables.ITEM_ID])
        for row in after.to_dict("records")
        if row != known.get(row[tables.ITEM_ID])
    }

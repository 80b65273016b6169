"""How a batch's columns differ from the accepted catalogue's, with the size of the difference."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon

from validation import tables

ENOUGH: Final = 30
"""Values on either side from which a column is compared."""
LARGE: Final = 0.25
"""Distance (0 to 1) from which a difference is worth a look."""
SIGNIFICANT: Final = 0.001
CLASSES: Final = (tables.CATEGORY, tables.BRAND, tables.CURRENCY, tables.SELLER_ID)
FILLED: Final = (
    *(tables.TITLE, tables.DESCRIPTION, tables.CATEGORY, tables.BRAND, tables.PRICE),
    *(tables.ATTRIBUTES, tables.IMAGE_PATH),
)


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column of the batch against the catalogue."""

    column: str
    test: str
    distance: float
    """0 for the same, 1 for nothing in common."""
    p_value: float

    @property
    def matters(self) -> bool:
        """Significant, and large enough to act on."""
        return self.p_value < SIGNIFICANT and self.distance >= LARGE


def column_drift(batch: pd.DataFrame, known: pd.DataFrame) -> list[ColumnDrift]:
    """The columns that both sides fill well enough, largest difference first.

    Prices and lengths of texts by Kolmogorov–Smirnov; categories, brands, sellers and
    currencies by the Jensen–Shannon distance, with a χ² test of the counts.

    Args:
        batch: canonical items.
        known: the accepted catalogue, canonical.
    """
    found = [
        *(_numbers(name, *sides) for name, sides in _measured(batch, known).items()),
        *(_classes(name, batch[name].dropna(), known[name].dropna()) for name in CLASSES),
    ]
    return sorted((one for one in found if one is not None), key=lambda one: -one.distance)


def filled_shares(items: pd.DataFrame) -> dict[str, float]:
    """Column → share of the rows that have a value."""
    return {name: float(items[name].notna().mean()) if len(items) else 0.0 for name in FILLED}


def _measured(batch: pd.DataFrame, known: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    return {
        tables.PRICE: (batch[tables.PRICE].dropna(), known[tables.PRICE].dropna()),
        **{
            f"length of {name}": (
                batch[name].dropna().str.len(),
                known[name].dropna().str.len(),
            )
            for name in (tables.TITLE, tables.DESCRIPTION)
        },
    }


def _numbers(name: str, ours: pd.Series, theirs: pd.Series) -> ColumnDrift | None:
    if min(len(ours), len(theirs)) < ENOUGH:
        return None
    test = stats.ks_2samp(ours.to_numpy(dtype=float), theirs.to_numpy(dtype=float))
    return ColumnDrift(name, "Kolmogorov–Smirnov", float(test.statistic), float(test.pvalue))


def _classes(name: str, ours: pd.Series, theirs: pd.Series) -> ColumnDrift | None:
    if min(len(ours), len(theirs)) < ENOUGH:
        return None
    counts = pd.concat([ours.value_counts(), theirs.value_counts()], axis=1).fillna(0.0)
    table = counts.to_numpy(dtype=float).T  # (2, classes)
    distance = float(jensenshannon(table[0], table[1], base=2))
    if table.shape[1] < 2:
        return ColumnDrift(name, "Jensen–Shannon", 0.0, 1.0)
    p_value = float(stats.chi2_contingency(table).pvalue)
    return ColumnDrift(name, "Jensen–Shannon", 0.0 if np.isnan(distance) else distance, p_value)

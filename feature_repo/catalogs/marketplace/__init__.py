"""A generated home-goods marketplace: photos, texts, a log and the truth behind it.

Generated, not real: wherever its results are shown, they say so.
"""

from feature_repo.catalogs.marketplace.defects import (
    MERELY_WARNED,
    Defect,
    new_listings,
    write_feed,
)
from feature_repo.catalogs.marketplace.generation import read
from feature_repo.catalogs.marketplace.size import SIZES, MarketplaceSize, marketplace_size

__all__ = [
    "MERELY_WARNED",
    "SIZES",
    "Defect",
    "MarketplaceSize",
    "marketplace_size",
    "new_listings",
    "read",
    "write_feed",
]

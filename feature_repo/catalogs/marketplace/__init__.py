"""A generated home-goods marketplace: photos, texts, a log and the truth behind it.

Generated, not real: wherever its results are shown, they say so.
"""

from feature_repo.catalogs.marketplace.generation import read
from feature_repo.catalogs.marketplace.size import SIZES, MarketplaceSize, marketplace_size

__all__ = ["SIZES", "MarketplaceSize", "marketplace_size", "read"]

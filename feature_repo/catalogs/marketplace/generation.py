"""The generated marketplace as a source: stock, photos, texts, log and truth from one seed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.catalogs.marketplace.choices import event_frame
from feature_repo.catalogs.marketplace.listings import NAME, has_photo, listing_frame
from feature_repo.catalogs.marketplace.photos import render
from feature_repo.catalogs.marketplace.size import SIZES, MarketplaceSize
from feature_repo.catalogs.marketplace.stock import Floats, Listing, make_stock
from feature_repo.catalogs.marketplace.tastes import Shoppers, make_shoppers, utilities
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import tables

UTILITY: Final = "utility"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int, int], None]


def read(
    *,
    photos: Path,
    as_of: datetime,
    seed: int = 0,
    size: MarketplaceSize = SIZES["demo"],
    progress: Progress | None = None,
) -> SourceData:
    """Generate the marketplace whose log ends at `as_of`.

    The same seed, size and `as_of` give identical frames and photo bytes. Another `as_of`
    moves every time by the difference and changes nothing else: photos are not rendered again.

    Args:
        photos: folder for the photos, made where absent.
        as_of: time-zone aware.
        progress: called with photos and visits done and in total.

    Raises:
        SourceError: `as_of` has no time zone.
    """
    end = utc(as_of)
    start = end - timedelta(weeks=size.weeks)
    stock = make_stock(size, seed=seed)
    shoppers = make_shoppers(size.users, seed=seed)
    utility = utilities(shoppers, stock)
    steps = _Steps(progress, [len(stock), round(size.users * size.sessions)])
    recipes = {one.item_id: one.recipe for one in stock if has_photo(one, seed=seed)}
    paths = render(recipes, folder=photos, progress=steps.part(0))
    items = listing_frame(stock, photos=paths, start=start, end=end, seed=seed)
    events = event_frame(
        shoppers,
        stock,
        utility,
        start_us=(start - EPOCH) // timedelta(microseconds=1),
        weeks=size.weeks,
        sessions=size.sessions,
        seed=seed,
        source=NAME,
        progress=steps.part(1),
    )
    truth = truth_frame(shoppers, stock, utility)
    return SourceData(NAME, items, events, Ordering.TIME, generated=True, truth=truth)


def utc(moment: datetime) -> datetime:
    """The moment in UTC. Raises SourceError where it has no time zone."""
    if moment.tzinfo is None:
        raise SourceError(
            f"the marketplace's end {moment.isoformat()} has no time zone; "
            f"write {moment.isoformat()}+00:00"
        )
    return moment.astimezone(UTC)


def truth_frame(shoppers: Shoppers, stock: Sequence[Listing], utility: Floats) -> pd.DataFrame:
    """`user_id`, `item_id`, `utility` of every user and home listing."""
    home = [row for row, one in enumerate(stock) if one.is_home]
    item_ids = np.array([stock[row].item_id for row in home], dtype=object)
    return pd.DataFrame(
        {
            tables.USER_ID: np.repeat(np.array(shoppers.user_ids, dtype=object), len(home)),
            tables.ITEM_ID: np.tile(item_ids, len(shoppers.user_ids)),
            UTILITY: utility[:, home].ravel(),
        }
    )


class _Steps:
    """One progress bar over several parts, each scaled to its share of the whole."""

    def __init__(self, progress: Progress | None, sizes: list[int]) -> None:
        self._progress, self._sizes = progress, sizes

    def part(self, number: int) -> Progress | None:
        """The callback for one part."""
        progress = self._progress
        if progress is None:
            return None
        before, own = sum(self._sizes[:number]), self._sizes[number]

        def report(done: int, total: int) -> None:
            progress(before + own * done // max(total, 1), sum(self._sizes))

        return report

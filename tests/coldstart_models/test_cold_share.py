"""What is cold is counted over the served listings by what was aggregated of them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from coldstart_models.cold_share import ColdGroup, ServedListings, cold_share
from feature_repo.exposure import Exposure, item_exposure
from feature_repo.feature_tables import CREATED_TIMESTAMP, ITEM_STATS, write_table
from feature_repo.home import Home
from validation import tables


def test_each_listing_is_in_one_group() -> None:
    served = ServedListings(
        np.array(["a", "b", "c", "d", "e"], dtype=object),
        np.array([True, True, True, False, False]),
        np.array([0, 2, 0, 3, 0]),
    )
    exposure = Exposure(
        np.array(["gone", "e", "b", "c"], dtype=object),
        np.array([50, 20, 4, 0]),
        np.array([9, 100, 30, 7]),
    )
    share = cold_share(served, exposure)
    assert (share.listings, share.new, share.unseen, share.learned) == (5, 3, 2, 1)
    assert share.groups == (
        ColdGroup(0, 0, 3, 7),
        ColdGroup(1, 4, 1, 30),
        ColdGroup(5, 19, 0, 0),
        ColdGroup(20, None, 1, 100),
    )


def test_the_newest_counts_of_every_item_are_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert len(item_exposure(home).item_ids) == 0
    rows = [("a", 1, 10), ("a", 3, 25), ("b", 0, 4)]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    table = pa.Table.from_pylist(
        [
            {
                **dict.fromkeys(ITEM_STATS.schema.names, 0),
                tables.ITEM_ID: item_id,
                "user_count": people,
                "impression_count": impressions,
                tables.EVENT_TIMESTAMP: moment,
                CREATED_TIMESTAMP: moment,
            }
            for item_id, people, impressions in rows
        ],
        schema=ITEM_STATS.schema,
    )
    path = home.feature_table(ITEM_STATS.name)
    path.parent.mkdir(parents=True)
    write_table(table, path)
    people, impressions = item_exposure(home).of(np.array(["b", "none", "a"], dtype=object))
    assert people.tolist() == [0, 0, 3]
    assert impressions.tolist() == [4, 0, 25]

"""The generated shop that the service is measured on, and who asks it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import redis

from feature_repo.catalogs.marketplace import MarketplaceSize
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import Home
from validation import tables

SIZE: Final = MarketplaceSize(
    users=200, home_listings=400, source_listings=100, weeks=12, sessions=12.0
)
"""As many listings as there are candidates."""
HISTORY: Final = 50
"""Events of the user who asks, at least where there is one."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What all parts ask."""

    home: Home
    folder: Path
    """For logs and the floor's files."""
    user: str
    options: argparse.Namespace

    @property
    def body(self) -> dict[str, Any]:
        return {"user_id": self.user, "k": 10, "pool": "all", "exclude_seen": False}


def prepared(home: Home, floor: Path, address: str) -> str:
    """Everything the service needs, and the floor's files; returns the user who asks."""
    from benchmarks.ranking import trained
    from feature_repo.jobs.materialize import materialize
    from feature_repo.store import Store

    _, item_ids, vectors = trained(home, size=SIZE)
    materialize(home=home, store=Store(home))
    rows = pq.read_table(
        home.feature_table(USER_HISTORY.name), columns=[tables.USER_ID, "history_item_ids"]
    ).to_pylist()
    newest = {row[tables.USER_ID]: row["history_item_ids"] for row in rows}
    user: str = min(newest, key=lambda one: (abs(len(newest[one]) - HISTORY), one))
    position = {item_id: place for place, item_id in enumerate(item_ids)}
    floor.mkdir(parents=True)
    seen = [position[item_id] for item_id in newest[user] if item_id in position]
    np.save(floor / "seen.npy", vectors[seen])
    np.save(floor / "offered.npy", vectors)
    np.save(floor / "item_ids.npy", np.array(item_ids))
    (floor / "key").write_bytes(row_key(user, address))
    return user


def item_ids(floor: Path) -> list[str]:
    """Of the listings that the floor offers."""
    return [str(one) for one in np.load(floor / "item_ids.npy")]


def row_key(user: str, address: str) -> bytes:
    """The key of the user's row in Redis: the shortest that ends an entity's value with the id."""
    host, port = address.split(":")
    keys: list[bytes] = redis.Redis(host=host, port=int(port)).keys()
    found = [key for key in keys if user.encode() in key and b"user_id" in key]
    if not found:
        raise RuntimeError(f"Redis holds no row of the user {user!r}")
    return min(found, key=len)

"""Two state folders over one online store: a SQLite file that stands in neither of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo import listing_changes
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.feature_tables import ITEM_ADAPTATION, ITEM_VECTOR, write_table
from feature_repo.home import REPOSITORY, Home
from feature_repo.jobs.catalogue import accepted_rows
from feature_repo.listing_changes import Kind
from feature_repo.replicas.exchange import Exchange
from feature_repo.store import PushTo, Store
from validation import tables

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Folder:
    """A state folder with its store, as a service has them."""

    home: Home
    store: Store
    exchange: Exchange

    def look(self) -> int:
        return self.exchange.look()

    def settle(self, item_id: str, *, price: float | None, source: str = "shop") -> None:
        """Add or update a listing with a vector; without a price it goes."""
        listed = accepted_rows(tables.ITEMS, self.home.items)
        left = listed[listed[tables.ITEM_ID] != item_id]
        row = {
            tables.ITEM_ID: item_id,
            tables.TITLE: f"Oak {item_id}",
            tables.PRICE: price,
            tables.AVAILABLE: True,
            tables.LISTED_AT: pd.Timestamp(NOW),
            tables.SOURCE: source,
        }
        new = pd.DataFrame([row] if price is not None else [], columns=tables.ITEMS.names)
        both = pd.concat([left.astype(object), new.astype(object)], ignore_index=True)
        write_table(tables.ITEMS.to_arrow(both), self.home.items)
        if price is not None:
            vector = [np.full(3, price, np.float32)]
            self.push(ITEM_VECTOR.name, item_id, vector=vector, model="m:1")
        listing_changes.record(self.home, [item_id])

    def learn(self, item_id: str, bias: float) -> None:
        """Let a listing have learned from its customers."""
        delta = [np.full(2, bias, np.float32)]
        learned = {"delta": delta, "bias": np.float32(bias), "support": 3, "model": "m:1"}
        self.push(ITEM_ADAPTATION.name, item_id, **learned)
        listing_changes.record(self.home, [item_id], kind=Kind.LEARNED)

    def push(self, view: str, item_id: str, **values: Any) -> None:
        rows = pd.DataFrame({tables.ITEM_ID: [item_id], **values})
        stamped = rows.assign(**{tables.EVENT_TIMESTAMP: pd.Timestamp.now(tz="UTC")})
        self.store.push(view, stamped, now=datetime.now(UTC), to=PushTo.BOTH)

    def prices(self) -> dict[str, float]:
        """Of the catalogue."""
        listed = accepted_rows(tables.ITEMS, self.home.items)
        return dict(zip(listed[tables.ITEM_ID], listed[tables.PRICE], strict=True))

    def offline(self, view: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.home.feature_table(view)).to_pylist()
        return rows


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment whose online store is a file beside the state folders."""
    file = tmp_path / "feature_store.yaml"
    embedded = (REPOSITORY / "feature_store.yaml").read_text(encoding="utf-8")
    file.write_text(embedded.replace("online_store.db", str(tmp_path / "shared" / "online.db")))
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(file))
    return file


@pytest.fixture
def folders(environment: Path, tmp_path: Path) -> Sequence[Folder]:
    """Both with a chair of the same shop, registered and online."""
    made = []
    for name in ("here", "there"):
        home = Home(tmp_path / name)
        home.items.parent.mkdir(parents=True)
        write_table(tables.ITEMS.schema.empty_table(), home.items)
        write_table(tables.EVENTS.schema.empty_table(), home.events)
        store = Store(home)
        store.apply()
        folder = Folder(home, store, Exchange(home, store))
        folder.settle("chair", price=80.0)
        home.listing_changes.unlink()  # as it was ingested
        made.append(folder)
    return made

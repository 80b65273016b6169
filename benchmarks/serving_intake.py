"""How soon a new listing is recommended, and how soon an event moves what is recommended."""

import base64
import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.serving_processes import Client, expect
from feature_repo.home import Home
from validation import tables

POLL_SECONDS: Final = 0.01
LONGEST_WAIT: Final = 30.0
IN_A_ROW: Final = 12
"""Answers of new connections that must show it, where several workers answer."""


def times_to_be_shown(
    port: int, count: int, *, workers: int = 1, by: int | None = None
) -> list[float]:
    """Milliseconds from the call with a new listing until `recommend` shows it.

    Of several workers each answers some of the new connections: `IN_A_ROW` of them must show it.

    Args:
        by: port of another service that is to show it; None: the one that is called.
    """
    take = expect(Client(port), "/listings")
    recommend = expect(Client(by or port), "/recommend")
    name = f"{workers}" if by is None else "elsewhere"

    def shown(asked: object) -> bool:
        if workers == 1:
            return bool(recommend(asked)["items"])
        for _ in range(IN_A_ROW):
            with closing(Client(port)) as new:
                if not expect(new, "/recommend")(asked)["items"]:
                    return False
        return True

    found = []
    for number in range(count):
        category = f"Home > Benchmark {name} {number}"
        listing = {
            "item_id": f"new-{name}-{number}",
            "title": f"Oak side table with a drawer, number {number}",
            "category": category,
            "price": 100.0 + number,
            "currency": "EUR",
            "photo_base64": _photo(number),
        }
        began = time.perf_counter()
        told = take({"listings": [listing]})
        if told["accepted"] != [listing["item_id"]]:
            raise RuntimeError(f"the listing was not accepted: {told}")
        _until(
            lambda asked={"k": 10, "category": category}: shown(asked)  # type: ignore[misc]
        )
        found.append(1000 * (time.perf_counter() - began))
    return found


def times_to_move(port: int, home: Home, count: int, *, workers: int = 1) -> list[float]:
    """Milliseconds from the call with an event until a person is recommended other listings.

    Of each person two: the first event, which makes an answer personal, and one on a listing of
    another category, after which a personal answer must hold other listings, or in another order.
    What was clicked may be recommended too, so that leaving it out is no such move. Of several
    workers none may answer any more as one of them did before: `IN_A_ROW` connections are asked.
    """
    found = []
    with closing(Client(port)) as client:
        take = expect(client, "/events")
        for number, (place, item_id) in product(range(count), enumerate(_unlike(home))):
            user = f"stranger-{workers}-{number}"
            before = set(_recommended(port, user, workers=workers))
            event = {
                "event_id": f"moved-{workers}-{number}-{place}",
                "user_id": user,
                "item_id": item_id,
                "event_type": "click",
                "event_timestamp": datetime.now(UTC).isoformat(),
            }
            began = time.perf_counter()
            told = take({"events": [event]})
            if told["accepted"] != [event["event_id"]]:
                raise RuntimeError(f"the event was not accepted: {told}")
            _until(
                lambda asked=user, old=before: old.isdisjoint(  # type: ignore[misc]
                    _recommended(port, asked, workers=workers)
                )
            )
            found.append(1000 * (time.perf_counter() - began))
    return found


def _recommended(port: int, user: str, *, workers: int) -> Iterator[tuple[str, ...]]:
    """The ten best ids, best first, as each of some new connections is answered."""
    asked = {"user_id": user, "k": 10, "pool": "all", "exclude_seen": False}
    for _ in range(1 if workers == 1 else IN_A_ROW):
        with closing(Client(port)) as new:
            items = expect(new, "/recommend")(asked)["items"]
        yield tuple(item["item_id"] for item in items)


def _unlike(home: Home) -> tuple[str, str]:
    """Two listings that the shop has had longest, of different categories.

    First customers move new listings for everybody; these move only who clicked them.
    """
    columns = [tables.ITEM_ID, tables.CATEGORY, tables.LISTED_AT]
    items = pq.read_table(home.items, columns=columns).to_pandas()
    items = items.dropna(subset=[tables.CATEGORY]).sort_values([tables.LISTED_AT, tables.ITEM_ID])
    first, second = items.drop_duplicates(tables.CATEGORY)[tables.ITEM_ID].head(2)
    return str(first), str(second)


def _until(holds: Callable[[], Any]) -> None:
    """Ask until it holds. Raises RuntimeError where it does not in `LONGEST_WAIT` seconds."""
    until = time.perf_counter() + LONGEST_WAIT
    while not holds():
        if time.perf_counter() > until:
            raise RuntimeError(f"it did not show in {LONGEST_WAIT:.0f} s")
        time.sleep(POLL_SECONDS)


def _photo(seed: int) -> str:
    """A photo of its own as base64: soft blobs, as a picture without any edge would be blurred."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((480, 480), Image.Resampling.NEAREST).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()

"""A large batch of new listings beside what its encoders alone take.

    python -m benchmarks.serving_batch HOME LISTINGS

prints JSON. The listings have a photo and a title each; they are gated, encoded, pushed and made
recommendable in one call, as `coldstart listings` does, and then encoded alone.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import results
from feature_repo.home import Home
from validation import tables


def main() -> None:
    """Measure and print."""
    print(json.dumps(measured(Home(Path(sys.argv[1])), int(sys.argv[2]))))


def measured(home: Home, count: int) -> dict[str, Any]:
    """Seconds of the call and of the encoders alone, and their ratio."""
    from coldstart_models.artifacts import find_model
    from coldstart_models.listing_encoders import encode, load_encoders
    from coldstart_models.listings import add_listings
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

    now, store = datetime.now(UTC), Store(home)
    recommender = Recommender.load(home)
    encoders = load_encoders(find_model(home).contract, home=home)

    def add(prefix: str, size: int) -> pd.DataFrame:
        result = add_listings(
            drawn(home, prefix, size),
            home=home,
            store=store,
            recommender=recommender,
            encoders=encoders,
            now=now,
        )
        if len(result.accepted) != size:
            raise RuntimeError(f"{len(result.accepted)} of {size} listings were accepted")
        return result.items

    add("warm", 20)
    added: list[pd.DataFrame] = []
    whole = results.seconds(lambda: added.append(add("batch", count)))
    bare = sum(
        results.seconds(lambda one=one: encode(added[0], encoder=one, now=now))  # type: ignore[misc]
        for one in (encoders.image, encoders.text)
    )
    return {
        "listings": count,
        "seconds": round(whole, 1),
        "encoders_alone_s": round(bare, 1),
        "ratio": round(whole / bare, 2),
    }


def drawn(home: Home, prefix: str, count: int) -> pd.DataFrame:
    """Raw listings, each with a photo of its own under the state folder."""
    generator = np.random.default_rng(len(prefix))
    folder = home.photos / f"benchmark-{prefix}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        blocks = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        photo = folder / f"{number}.jpg"
        Image.fromarray(blocks).resize((480, 480), Image.Resampling.NEAREST).save(photo, "JPEG")
        rows.append(
            {
                tables.ITEM_ID: f"{prefix}-{number:05d}",
                tables.TITLE: f"{prefix} oak side table with {number} drawers",
                tables.CATEGORY: f"Home > Benchmark {number % 40}",
                tables.PRICE: float(generator.uniform(20, 400)),
                tables.CURRENCY: "EUR",
                tables.IMAGE_PATH: str(photo),
                tables.LISTED_AT: pd.Timestamp.now("UTC"),
            }
        )
    return pd.DataFrame(rows, columns=tables.ITEMS.names, dtype=object)


if __name__ == "__main__":
    main()

"""The extraction job against the bare forward pass of its encoder: ``make bench-extraction``.

Both run over the same photos in the same process, in turns. The job reads, decodes, resizes,
encodes, checks and writes; the bare pass gets its batches ready in memory.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow.parquet as pq
from PIL import Image

from benchmarks import results, shop
from feature_repo.encoders.encoder import Encoder
from feature_repo.encoders.registry import EFFICIENTNET_LITE0, load_encoder
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import extract
from validation import tables

BATCH: Final = 64


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.extraction", description=__doc__)
    parser.add_argument("--encoder", default=EFFICIENTNET_LITE0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = shop.ingested(Home(Path(folder)))
        batches = prepared_batches(home, encoder)
        photos = sum(len(batch) for batch in batches)
        forward(encoder, batches[:1])
        bare, job = [], []
        for _ in range(options.repeats):
            bare.append(results.seconds(lambda: forward(encoder, batches)))
            job.append(extraction_seconds(home, encoder, photos=photos))
    results.publish(
        "extraction",
        title=f"Extraction of {photos} generated photos with {encoder.id}",
        rows=[
            {"what": "bare forward pass", **_row(bare, photos)},
            {"what": "extract job, photos to Parquet", **_row(job, photos)},
        ],
        ratio=round(median(job) / median(bare), 3),
        repeats=options.repeats,
    )


def prepared_batches(home: Home, encoder: Encoder) -> list[list[Any]]:
    """Every photo of the catalogue as the encoder's input, in batches."""
    paths = pq.read_table(home.items, columns=[tables.IMAGE_PATH])[tables.IMAGE_PATH]
    inputs = []
    for path in paths.drop_null().to_pylist():
        with Image.open(path) as photo:
            inputs.append(encoder.prepare(photo.convert("RGB")))
    return [inputs[first : first + BATCH] for first in range(0, len(inputs), BATCH)]


def forward(encoder: Encoder, batches: list[list[Any]]) -> None:
    """The encoder alone."""
    for batch in batches:
        encoder.forward(batch)


def extraction_seconds(home: Home, encoder: Encoder, *, photos: int) -> float:
    """The job from nothing. Raises RuntimeError where it did not encode every photo."""
    home.feature_table(ITEM_IMAGE_EMBEDDING.name).unlink(missing_ok=True)
    result = extract(
        home=home, now=shop.AS_OF, image_encoder=encoder, text_encoder=None, batch_size=BATCH
    )
    if result.encoded != photos:
        raise RuntimeError(f"the job encoded {result.encoded} of {photos} photos")
    return result.seconds


def _row(seconds: list[float], photos: int) -> dict[str, float]:
    middle = median(seconds)
    return {"seconds": round(middle, 3), "photos/s": round(photos / middle, 1)}


if __name__ == "__main__":
    main()

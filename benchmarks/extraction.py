"""The extraction job against the bare forward pass of its encoder: ``make bench-extraction``.

Both run over the same photos in the same process, in turns. The job reads, decodes, resizes,
encodes, checks and writes; the bare pass finds its batches on the device. The device's peak is what
a large matrix product in the same precision reaches in the same run. On a GPU the batch size that
suits the bare pass best is searched first, before the encoder is compiled for it (``--no-compile``
not to).
With Ray installed its engine runs as well, and the time from its first batch to its last is held
against the time in the model.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import results, shop
from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import Encoder, stages_of
from feature_repo.encoders.registry import EFFICIENTNET_LITE0, load_encoder
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, ModalityResult, extract
from feature_repo.jobs.pipeline import decoders
from feature_repo.jobs.ray_engine import RayCluster
from validation import tables

BATCH: Final = 64
GPU_BATCHES: Final = (64, 128, 256, 512, 1024)
CPU_SIDE, GPU_SIDE = 2_048, 8_192
"""Of the square matrices whose product is the peak."""
PEAK_TURNS: Final = 5
BUSY: Final = 0.8
"""Share of the time from which the model, and nothing else, holds the job."""
AROUND: Final = 0.25
"""Share of the job's time from which what is not encoding holds it."""
RAY_BATCH: Final = 16
"""Small, so that few photos make many batches and several tasks."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each turn, for all photos; the fastest one counts, others disturbed it least."""

    photos: int
    bare: list[float]
    job: list[float]
    in_model: list[float]
    """Share of the time between the job's first and last batch in which the model worked."""
    encoding: list[float]
    """Between the job's first and last batch."""
    decoding: list[float]
    flops: int
    """Of one photo."""
    peak: float
    """FLOP/s of the matrix product."""

    @property
    def of_bare(self) -> float:
        """Throughput of the job as a share of the bare pass's."""
        return min(self.bare) / min(self.job)

    def rate(self, seconds: Sequence[float]) -> float:
        """FLOP/s of a pass over all photos."""
        return self.flops * self.photos / min(seconds)

    @property
    def bottleneck(self) -> str:
        """Where the time goes, in a sentence."""
        bare, job, decoding = (min(one) for one in (self.bare, self.job, self.decoding))
        at = self.job.index(job)
        busy, around = self.in_model[at], 1 - self.encoding[at] / job
        if around >= AROUND and bare < job * (1 - around):
            return (
                "what stands around the encoding is the bottleneck: looking for what is to do, the "
                f"first batch, the gate's last word and merging take {around:.0%} of the job's "
                f"time; between its first batch and its last the forward pass ran for {busy:.0%}"
            )
        if busy >= BUSY:
            return (
                f"the forward pass is the bottleneck: it ran for {busy:.0%} of the time between "
                f"the first batch and the last, beside decoding that alone takes "
                f"{decoding / job:.0%} of the job's time; it reaches "
                f"{self.rate(self.bare) / self.peak:.0%} of the device's peak, so that the model's "
                "own layers, not the job, hold it"
            )
        if decoding > bare:
            return (
                f"decoding is the bottleneck: alone it takes {decoding / bare:.1f} times as long "
                f"as the forward pass, which ran for {busy:.0%} of the time; more processors, or "
                "nvJPEG where there is a GPU, would help"
            )
        return (
            f"the handing over of batches is the bottleneck: the forward pass ran for {busy:.0%} "
            f"of the time though decoding is {bare / decoding:.1f} times as fast; larger batches "
            "would help"
        )


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.extraction", description=__doc__)
    parser.add_argument("--encoder", default=EFFICIENTNET_LITE0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, help="photos; by default the best on a GPU, else 64")
    parser.add_argument("--precision", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--ray", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--copies", type=int, default=1, help="times that each photo is taken")
    parser.add_argument("--side", type=int, help="pixels of a photo; by default as generated")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder, precision=options.precision)
    device = str(getattr(encoder, "device", "cpu"))
    flops = flops_of(encoder, [encoder.prepare(Image.new("RGB", (320, 240)))])
    compiled = options.compile if options.compile is not None else device != "cpu"
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = shop.ingested(Home(Path(folder)))
        if options.side:
            scale(home, side=options.side)
        paths = photo_paths(with_copies(home, options.copies))
        sizes = [options.batch] if options.batch else [BATCH] if device == "cpu" else GPU_BATCHES
        batch = best_batch(encoder, paths, sizes)
        if compiled:
            encoder = load_encoder(options.encoder, precision=options.precision, compiled=True)
        found = measured(home, encoder, paths, batch=batch, repeats=options.repeats, flops=flops)
        facts = facts_of(found, encoder, batch=batch, compiled=compiled)
        if options.ray or (options.ray is None and find_spec("ray")):
            facts["ray"] = on_ray(home, options.encoder, photos=len(paths))
    results.publish(
        "extraction",
        title=f"Extraction of {found.photos} generated photos with {encoder.id} on {device}",
        rows=[
            {"what": "bare forward pass", **_row(found.bare, found)},
            {"what": "extract job, photos to Parquet", **_row(found.job, found)},
            {"what": "reading and decoding alone", **_row(found.decoding, found, flops=False)},
        ],
        **facts,
        side=options.side or "as generated",
        repeats=options.repeats,
        bottleneck=found.bottleneck,
    )


def facts_of(found: Measured, encoder: Encoder, *, batch: int, compiled: bool) -> dict[str, Any]:
    """What the table does not say."""
    return {
        "job_of_bare": round(found.of_bare, 3),
        "gflop_a_photo": round(found.flops / 1e9, 3),
        "peak_gflops": round(found.peak / 1e9, 1),
        "roofline": round(found.rate(found.bare) / found.peak, 3),
        "batch": batch,
        "precision": str(getattr(getattr(encoder, "runner", None), "precision", "float32")),
        "compiled": str(compiled),
    }


def measured(
    home: Home, encoder: Encoder, paths: Sequence[str], *, batch: int, repeats: int, flops: int
) -> Measured:
    """The bare pass, the job and decoding, in turns."""
    inputs = prepared(encoder, paths)
    batches = [inputs[first : first + batch] for first in range(0, len(inputs), batch)]
    forward(encoder, batches[:1])
    bare, job, in_model, encoding, decoding = (list[float]() for _ in range(5))
    for _ in range(repeats):
        bare.append(bare_seconds(encoder, batches))
        result = extracted(home, encoder, photos=len(paths), batch=batch)
        pace = result.modalities["image"].pace
        # A GPU's model works while others do: of it that is what the bare pass would take.
        worked = min(bare) if stages_of(encoder).lag else pace.in_model
        job.append(result.seconds)
        in_model.append(min(1.0, worked / max(pace.from_first_to_last, 1e-9)))
        encoding.append(pace.from_first_to_last)
        decoding.append(results.seconds(lambda: prepared(encoder, paths)))
    return Measured(
        len(paths),
        bare,
        job,
        in_model,
        encoding,
        decoding,
        flops,
        peak_of(encoder),
    )


def scale(home: Home, *, side: int) -> None:
    """Make the photos so many pixels high and wide, as large as a shop's are."""
    for path in photo_paths(home):
        with Image.open(path) as photo:
            photo.convert("RGB").resize((side, side), Image.Resampling.BICUBIC).save(
                path, "JPEG", quality=90
            )


def with_copies(home: Home, copies: int) -> Home:
    """The catalogue with each photo copied to so many listings, each with bytes of its own."""
    if copies > 1:
        items = pq.read_table(home.items).to_pandas()
        parts = [items]
        for number in range(1, copies):
            more = items.copy()
            more[tables.ITEM_ID] += f"-{number}"
            more[tables.IMAGE_PATH] = [
                _copied(path, number) if path else path for path in more[tables.IMAGE_PATH]
            ]
            parts.append(more)
        rows = [tables.ITEMS.to_arrow(part) for part in parts]
        pq.write_table(pa.concat_tables(rows), home.items)
    return home


def photo_paths(home: Home) -> list[str]:
    """Every photo of the catalogue."""
    paths = pq.read_table(home.items, columns=[tables.IMAGE_PATH])[tables.IMAGE_PATH]
    found: list[str] = paths.drop_null().to_pylist()
    return found


def prepared(encoder: Encoder, paths: Sequence[str]) -> list[Any]:
    """The photos as the encoder's inputs, read and decoded as the job does."""
    read = getattr(encoder, "read", lambda path: encoder.prepare(open_photo(path)))
    decoded = getattr(encoder, "decoded", list)
    with ThreadPoolExecutor(decoders()) as pool:
        opened = list(pool.map(lambda path: read(Path(path)), paths))
    return [
        one for first in range(0, len(opened), BATCH) for one in decoded(opened[first:][:BATCH])
    ]


def best_batch(encoder: Encoder, paths: Sequence[str], sizes: Sequence[int]) -> int:
    """The size at which the bare pass is fastest."""
    if len(sizes) == 1:
        return sizes[0]
    seconds = {}
    inputs = prepared(encoder, paths[: max(sizes)])
    for size in sizes:
        full = [inputs[number % len(inputs)] for number in range(size)]
        bare_seconds(encoder, [full])
        seconds[size] = bare_seconds(encoder, [full] * 4) / size
    return min(seconds, key=lambda size: seconds[size])


def bare_seconds(encoder: Encoder, batches: Sequence[Sequence[Any]]) -> float:
    """The model alone, its inputs on the device."""
    stages = stages_of(encoder)
    staged = [stages.stage(batch) for batch in batches]

    def launch() -> None:
        last = [stages.launch(one) for one in staged]
        stages.fetch(last[-1])

    return results.seconds(launch)


def forward(encoder: Encoder, batches: Sequence[Sequence[Any]]) -> None:
    """The encoder alone."""
    for batch in batches:
        encoder.forward(batch)


def extracted(home: Home, encoder: Encoder, *, photos: int, batch: int) -> ExtractResult:
    """The job from nothing. Raises RuntimeError where it did not encode every photo."""
    home.feature_table(ITEM_IMAGE_EMBEDDING.name).unlink(missing_ok=True)
    result = extract(
        home=home, now=shop.AS_OF, image_encoder=encoder, text_encoder=None, batch_size=batch
    )
    if result.encoded != photos:
        raise RuntimeError(f"the job encoded {result.encoded} of {photos} photos")
    return result


def on_ray(home: Home, named: str, *, photos: int, workers: int = 1) -> dict[str, float]:
    """The job on Ray: its time from the first batch to the last against that in the model."""
    home.feature_table(ITEM_IMAGE_EMBEDDING.name).unlink(missing_ok=True)
    result = extract(
        home=home,
        now=shop.AS_OF,
        image_encoder=named,
        text_encoder=None,
        batch_size=RAY_BATCH,
        cluster=RayCluster(workers=workers),
    )
    one: ModalityResult = result.modalities["image"]
    if one.encoded != photos:
        raise RuntimeError(f"Ray encoded {one.encoded} of {photos} photos")
    in_model = one.pace.in_model / workers
    return {
        "workers": workers,
        "batches": one.pace.batches,
        "first_to_last_seconds": round(one.pace.from_first_to_last, 2),
        "model_seconds": round(in_model, 2),
        "ratio": round(one.pace.from_first_to_last / in_model, 3),
    }


def flops_of(encoder: Encoder, batch: Sequence[Any]) -> int:
    """Floating-point operations of one pass over a batch; a multiplication and addition is two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        encoder.forward(batch)
    return int(counter.get_total_flops())


def peak_of(encoder: Encoder) -> float:
    """FLOP/s of a large matrix product on the encoder's device and in its precision, at best."""
    import torch

    runner: Any = getattr(encoder, "runner", None)
    device = runner.device if runner else torch.device("cpu")
    kind = torch.bfloat16 if runner and runner.precision == "bfloat16" else torch.float32
    side = GPU_SIDE if device.type == "cuda" else CPU_SIDE
    left, right = (torch.rand(side, side, device=device).to(kind) for _ in range(2))

    def product() -> None:
        (left @ right)[0, 0].item()

    product()
    return 2 * side**3 / min(results.seconds(product) for _ in range(PEAK_TURNS))


def _copied(path: str, number: int) -> str:
    """The photo again, in a file that differs by its end, which no decoder reads."""
    there = Path(path)
    copy = there.with_name(f"{there.stem}-{number}{there.suffix}")
    copy.write_bytes(there.read_bytes() + b"\0" * number)
    return str(copy)


def _row(seconds: list[float], found: Measured, *, flops: bool = True) -> dict[str, Any]:
    best = min(seconds)
    return {
        "seconds": round(best, 3),
        "photos/s": round(found.photos / best, 1),
        "GFLOP/s": round(found.rate(seconds) / 1e9, 1) if flops else "–",
    }


if __name__ == "__main__":
    main()

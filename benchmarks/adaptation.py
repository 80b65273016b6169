"""Encoders before and after they learned a domain: ``make bench-adaptation ARGS='--data DIR'``.

Clothing photos → IKEA's, and the generated marketplace's other departments → its home. A fifth of
the items is cold: neither learned from, nor chosen by. On them is measured how many of a photo's
nearest are of its category, how often a title finds its photo (by a ridge map that the other items
teach, or in the shared space), and how well content-kNN on photos alone ranks them.

Heads alone are learned, on vectors that are computed once: IKEA's five seeds of `titles` take five
minutes on one core. ``--blocks 3`` lets the last blocks of the variants with losses learn as well;
``--base resnet50`` is a ResNet50 that was begun on the clothing photos, which takes half an hour
of a core the first time. What is measured so is told in a table of its own. Cells (data, seed,
variant) are measured once and kept in ``benchmarks/results/adaptation``; a run that is stopped
loses one.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import results
from benchmarks.adaptation_cells import SHARE, Cell, Found, Shop, cell
from benchmarks.choices import part_of
from benchmarks.code_versions import code_version
from coldstart_models.benchmark_run import read_stored
from coldstart_models.commands import console
from coldstart_models.domain.aims import Aims
from coldstart_models.domain.beginning import Beginning, begin
from coldstart_models.domain.examples import digest, of_folder, of_home
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.setting import Setting
from coldstart_models.metrics import NDCG, FloatArray, bootstrap_intervals, seed_means
from feature_repo.catalogs.registry import open_source, resolved
from feature_repo.encoders.registry import EFFICIENTNET_LITE0, MINILM, RESNET50, load_encoder
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest
from validation import gate

AS_OF: Final = datetime(2026, 11, 1, tzinfo=UTC)
FOLDER: Final = results.FOLDER / "adaptation"
METRICS: Final = ("precision@1", "precision@10", "recall@10", NDCG)
CLOTHING: Final = "clothing_images"
DATA: Final = {"ikea": "table:{data}/ikea", "marketplace": "marketplace"}
CUT: Final = "no learning, principal components alone"
BASES: Final = (EFFICIENTNET_LITE0, RESNET50)
BEGINNING: Final = Beginning(network=RESNET50, size=96, epochs=8)


def _variant(*objectives: str, **changes: Any) -> Setting:
    aims = Aims(objectives=objectives, **changes)
    text = MINILM if aims.needs_text else None
    return Setting(base=EFFICIENTNET_LITE0, text=text, aims=aims, freedom=Freedom())


VARIANTS: Final = {
    "titles": _variant("titles"),
    "adabn": _variant(align="adabn"),
    "source + coral": _variant("source", align="coral"),
    "source + dann": _variant("source", align="dann"),
    "photos alone": _variant("views", "neighbours"),
    "pairs, clip": _variant("pairs"),
    "pairs, siglip": _variant("pairs", contrast="siglip"),
    "labels": _variant("labels"),
    "labels + pairs": _variant("labels", "pairs"),
}
"""Name → setting; only labels see categories of the home, and pairs and titles its titles."""


def main() -> None:
    """Measure what is missing, and publish."""
    options = _options()
    base = base_of(options.base, options.data, only_kept=options.no_measuring)
    rows = []
    for name in options.shops:
        elsewhere = options.data / CLOTHING if name == "ikea" else None
        shop = shop_of(name, DATA[name].format(data=options.data), elsewhere=elsewhere)
        first: list[Cell] = []
        for variant in options.variants:
            setting = replace(VARIANTS[variant], base=base)
            if setting.aims.learns:
                setting = replace(setting, freedom=Freedom(blocks=options.blocks))
            cells = [
                cell(
                    shop,
                    replace(setting, seed=seed),
                    told=f"{name}, {variant}, seed {seed}",
                    folder=FOLDER,
                    load=load_encoder,
                    only_kept=options.no_measuring,
                )
                for seed in range(options.seeds)
            ]
            there = [one for one in cells if one is not None]
            first = first or there
            if there:
                rows.append(row_of(name, variant, there))
        if first:
            rows.append(row_of(name, CUT, [replace(one, after=one.cut) for one in first]))
    if not rows:
        raise SystemExit("nothing was measured yet; leave out --no-measuring")
    results.publish(
        name_of(options.base, options.blocks),
        title="Encoders before → after adaptation, on held-out items",
        rows=rows,
        base=options.base,
        held_out=SHARE,
        blocks_that_learn=options.blocks,
    )


def base_of(name: str, data: Path, *, only_kept: bool) -> str:
    """How the registry knows the base: of ResNet50 with the weights that clothing began.

    Args:
        only_kept: whether weights that are not there are not learned now.
    """
    if name != RESNET50:
        return name
    source = of_folder(data / CLOTHING)
    code = code_version("coldstart_models.domain.beginning")
    file = FOLDER / f"{name}-{digest(repr(BEGINNING), source.digest(), code)[:16]}.pth"
    if not file.exists():
        if only_kept:
            raise SystemExit(f"{name} was not begun yet; leave out --no-measuring")
        teacher = load_encoder(EFFICIENTNET_LITE0)
        with console.bar(f"begin {name}") as progress:
            begun = begin(
                source, BEGINNING, out=file, device="cpu", teacher=teacher, progress=progress
            )
        console.say(f"{name}: {begun.accuracy:.1%} of clothing kept out is told right")
    return f"{name}:{file}"


def name_of(base: str, blocks: int) -> str:
    """Of the results: those of heads alone on the default encoder have no addition."""
    usual = base == EFFICIENTNET_LITE0
    return "_".join(
        ["adaptation", *([] if usual else [base]), *([f"{blocks}_blocks"] if blocks else [])]
    )


def row_of(
    shop: str, variant: str, cells: Sequence[Cell], *, metrics: Sequence[str] = METRICS
) -> results.Row:
    """Means over seeds, of the base as it serves and after; gains, intervals over items or users.

    `kept` are the seeds in which something was better than the base on validation items.
    """
    row: dict[str, str | int | float] = {
        "data": shop,
        "variant": variant,
        "seeds": len(cells),
        "kept": sum(one.better for one in cells) if variant != CUT else "–",
    }
    for name in metrics:
        before = np.stack([_column(one.whole, name) for one in cells])
        after = np.stack([_column(one.after, name) for one in cells])
        row[name] = "–" if np.isnan(before).all() else gained(before, after)
    return row


def gained(before: FloatArray, after: FloatArray) -> str:
    """Means of a metric, (S, N, 1) by seed and item or user, and the gain with its interval."""
    start, end = float(seed_means(before)[0]), float(seed_means(after)[0])
    low, high = bootstrap_intervals(after - before, seed=0)[0] / start
    return f"{start:.4f} → {end:.4f}, {end / start - 1:+.1%} ({low:+.1%} to {high:+.1%})"


def _column(found: Found, metric: str) -> FloatArray:
    """(N, 1) or (U, 1) of a metric."""
    return found.users if metric == NDCG else found.items[:, [METRICS.index(metric)]]


def shop_of(name: str, source: str, *, elsewhere: Path | None = None) -> Shop:
    """Ingest the data where that has not been done; no encoder runs.

    Args:
        source: as `coldstart ingest` takes it.
        elsewhere: a folder of photos of another domain; by default what stands beside the home.
    """
    home = Home((FOLDER / "stores" / name).resolve())
    if not home.items.exists():
        spec = resolved(source)
        opened = open_source(spec, photos=home.photos, as_of=AS_OF)
        ingest(opened, home=home, spec=spec, now=AS_OF, gate=gate)
    target, source_examples = of_home(home)
    if elsewhere is not None:
        source_examples = of_folder(elsewhere)
    return Shop(name, read_stored(home), target, source_examples)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.adaptation", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--shops", type=part_of(DATA, ";"), default=tuple(DATA), help="; ".join(DATA)
    )
    parser.add_argument(
        "--variants",
        type=part_of(VARIANTS, ";"),
        default=tuple(VARIANTS),
        help="; ".join(VARIANTS),
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--base", choices=BASES, default=EFFICIENTNET_LITE0)
    parser.add_argument("--blocks", type=int, default=0, help="last blocks that learn as well")
    parser.add_argument("--no-measuring", action="store_true", help="publish what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()

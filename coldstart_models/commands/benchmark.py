"""`coldstart benchmark`: every model on the same split of a source."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.benchmark_result import BenchmarkResult
    from coldstart_models.benchmark_run import SplitPlan
    from coldstart_models.encoder_comparison_result import Comparison

NAME: Final = "benchmark"
EXAMPLES: Final = """Examples:

  coldstart benchmark --source marketplace --cutoff 2026-10-01

  coldstart benchmark --source table:my_shop --random-items 0.2 --models content-knn,siamese
"""

Cutoff = Annotated[
    str | None, typer.Option(help="Cold is what was first available from this date on.")
]
RandomItems = Annotated[
    float | None, typer.Option(help="Cold is this share of the items, drawn at random.")
]
Models = Annotated[
    str | None, typer.Option(help="Names, separated by commas; all of them by default.")
]
Shots = Annotated[str, typer.Option(help="Numbers of first users a model may see.")]


def run(
    source: Annotated[str, typer.Option(help="A source, as `coldstart ingest` takes it.")],
    cutoff: Cutoff = None,
    random_items: RandomItems = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    models: Models = None,
    shots: Shots = "0,1,3,5,10",
    domain: Annotated[str | None, typer.Option(help="The ranked department.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="A mapping.toml for table:DIR.")] = None,
    workdir: Annotated[
        Path | None, typer.Option(help="Keep the store here; a later run takes it up.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results here as JSON.")] = None,
    rankings: Annotated[
        Path | None, typer.Option(help="Write each user's first 100 here as Parquet.")
    ] = None,
    as_of: console.AsOf = None,
) -> None:
    """Ingest a source into a folder of its own and compare models on it."""
    from coldstart_models.benchmark_run import run_benchmark
    from coldstart_models.models import MODELS
    from coldstart_models.outputs import require_writable

    require_writable(json, option="--json")
    require_writable(rankings, option="--rankings")
    require_writable(workdir, option="--workdir", folder=True)
    plan, now = split_plan(cutoff, random_items), console.present(as_of)
    with ExitStack() as stack:
        folder = workdir or Path(stack.enter_context(TemporaryDirectory(prefix="coldstart-")))
        result = run_benchmark(
            source,
            workdir=folder,
            plan=plan,
            now=now,
            models=names(models) or tuple(MODELS),
            shots=numbers(shots),
            seeds=seeds,
            domain=domain,
            mapping=mapping,
            rankings=rankings,
            progress=lambda step: stack.enter_context(console.bar(step)),
        )
    tell(result)
    if json is not None:
        write_json(result, json)


def split_plan(cutoff: str | None, random_items: float | None) -> "SplitPlan":
    """The split that the options name. Raises ConfigError unless it is exactly one."""
    from coldstart_models.benchmark_run import SplitPlan

    date = console.moment(cutoff, option="--cutoff") if cutoff else None
    return SplitPlan(cutoff=date, random_items=random_items)


def names(given: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(part.strip() for part in (given or "").split(",") if part.strip())


def numbers(given: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        return tuple(int(part) for part in names(given))
    except ValueError:
        raise typer.BadParameter(f"--shots is {given!r}, expected e.g. 0,1,3") from None


def write_json(result: "BenchmarkResult | Comparison", path: Path) -> None:
    """Write the results as JSON, atomically."""
    import json

    from validation.whole_files import replacing

    with replacing(path) as partial:
        partial.write_text(json.dumps(result.as_dict(), indent=2) + "\n", encoding="utf-8")


def tell(result: "BenchmarkResult") -> None:
    """Print one table a pool."""
    made_up = ", generated data" if result.generated else ""
    for pool in result.pools:
        rows = [row for row in result.results if row.pool == pool]
        console.print_table(
            f"{result.source}{made_up}: {result.split}, pool {pool}: {rows[0].num_users} users, "
            f"{rows[0].num_candidates} candidates, {result.seeds} seed(s)",
            ["model", "shots", "recall@20", "ndcg@10", "ndcg@10 95 %", "mrr", "auc", "coverage"],
            [
                [
                    row.model,
                    row.shots,
                    row.recall,
                    row.ndcg,
                    "{:.4f}–{:.4f}".format(*row.interval["ndcg@10"]),
                    row.mrr,
                    row.auc,
                    row.coverage,
                ]
                for row in rows
            ],
        )
    for skipped in result.skipped:
        console.say(f"left out: {skipped.what}: {skipped.reason}")

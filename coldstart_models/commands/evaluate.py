"""`coldstart evaluate`: the models on this catalogue, as one HTML report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console
from coldstart_models.commands.benchmark import (
    Cutoff,
    Models,
    RandomItems,
    Shots,
    names,
    numbers,
    split_plan,
    tell,
    write_json,
)

if TYPE_CHECKING:
    from coldstart_models.evaluation_report import Example
    from feature_repo.home import Home

NAME: Final = "evaluate"
EXAMPLES: Final = """Examples:

  coldstart evaluate --cutoff 2026-10-01

  coldstart evaluate --random-items 0.2 --seeds 3 --report quality.html
"""


def run(
    cutoff: Cutoff = None,
    random_items: RandomItems = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    models: Models = None,
    shots: Shots = "0,1,3,5,10",
    domain: Annotated[str | None, typer.Option(help="The ranked department.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Where to write the report; reports/evaluation.html.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results here as JSON.")] = None,
    as_of: console.AsOf = None,
) -> None:
    """Split the ingested catalogue, fit and measure the models, write a report with examples.

    The examples are of the model that `coldstart train` stored; without one the report has none.
    """
    from dataclasses import replace

    from coldstart_models.benchmark_run import read_stored, splitter
    from coldstart_models.benchmarking import benchmark
    from coldstart_models.data.pools import Skipped
    from coldstart_models.errors import ModelError
    from coldstart_models.evaluation_report import write_report
    from coldstart_models.models import MODELS
    from coldstart_models.outputs import require_writable
    from feature_repo.errors import FeatureError
    from feature_repo.home import Home

    require_writable(json, option="--json")
    require_writable(report, option="--report")
    home, now = Home.current(), console.present(as_of)
    stored = read_stored(home, until=console.known_until(as_of))
    plan = split_plan(cutoff, random_items)
    with console.bar("evaluate") as progress:
        result = benchmark(
            source=stored.record.name,
            catalogue=stored.catalogue,
            interactions_split=splitter(stored, plan, domain=domain),
            models=names(models) or tuple(MODELS),
            shots=numbers(shots),
            seeds=seeds,
            truth=stored.truth,
            generated=stored.record.generated,
            progress=progress,
        )
    try:
        shown, why = _examples(home), "no history is online; run `coldstart materialize`"
    except (ModelError, FeatureError) as error:
        shown, why = [], str(error)
    if not shown:
        result = replace(result, skipped=[*result.skipped, Skipped("examples", why)])
    tell(result)
    if json is not None:
        write_json(result, json)
    path = write_report(
        result,
        shown,
        report or home.reports / "evaluation.html",
        title=f"Cold-start quality on {stored.record.name}",
        generated=stored.record.generated,
        now=now,
    )
    console.say(f"report: {path}")


def _examples(home: "Home") -> "list[Example]":
    from coldstart_models.examples import example_users, examples
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

    recommender = Recommender.load(home)
    return examples(
        example_users(home, count=6), home=home, store=Store(home), recommender=recommender
    )

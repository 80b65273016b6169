"""`coldstart train`: the Siamese model of this state's sources."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.training_job import TrainResult

NAME: Final = "train"
EXAMPLES: Final = """Examples:

  coldstart train

  coldstart train --seed 1 --json

  coldstart train --general general_model
"""


def run(
    seed: Annotated[int | None, typer.Option(min=0, help="Of every random choice.")] = None,
    dates: Annotated[
        bool | None,
        typer.Option(help="Whether scores may use how long a listing is there, and the season."),
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option(help="Start from this model of other shops, which `pretrain` wrote."),
    ] = None,
    device: console.Device = None,
    processes: console.Processes = None,
    most_events: console.MostEvents = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Train the Siamese model on every domain and store it with its item vectors."""
    from coldstart_models.config import load_config
    from coldstart_models.training_job import train_job
    from feature_repo.home import Home

    settings = load_config(config).train
    with console.bar("train") as progress:
        result = train_job(
            home=Home.current(),
            now=console.present(as_of),
            until=console.known_until(as_of),
            seed=settings.seed if seed is None else seed,
            dates=settings.dates if dates is None else dates,
            general=general or settings.general,
            schedule=settings.learning().train,
            device=device or settings.device,
            processes=processes or settings.processes,
            most_events=most_events or settings.most_events,
            progress=progress,
        )
    tell(result, json=json)


def tell(result: "TrainResult", *, json: bool) -> None:
    """Print what a training job did."""
    if json:
        console.print_json(result.as_dict())
        return
    console.print_table(
        f"{result.stage}: {result.tag}",
        ["items", "users", "events", "kept step", "adapted listings"],
        [[result.items, result.users, result.events, result.kept_step, result.adapted]],
    )
    if result.events < result.log_events:
        console.say(
            f"learned from {result.events:,} of the log's {result.log_events:,} choices, those of "
            "people who were drawn (most_events)"
        )
    if result.general:
        console.say(f"started from the general model of {', '.join(result.general)}")
    if result.checks:
        told = ", ".join(f"{step}: {value:.4f}" for step, value in result.checks)
        console.say(f"NDCG@10 on later items by step: {told}")
    else:
        console.say(
            "no step was learned: too few people or items are left of past launches, or of items "
            "held out, to learn on and to stop by"
        )
    if result.personal is not None:
        tell_place(result.personal)
    if result.cost is not None:
        console.say(str(result.cost))
    if result.contest is not None:
        tell_contest(result.contest)


def tell_place(place: Mapping[str, Any]) -> None:
    """Print how validation is ranked from the general to the personal, and where the model is."""
    curve = dict(place["validation_ndcg@10"])
    learned, at = curve.pop("learned"), place["learned"]
    told = "beyond 1" if at is None else f"{at:.2f}"
    moved = "" if place["kept"] == at else f", moved to {place['kept']:.2f}"
    console.say(
        "NDCG@10 on later items from the general (0) to the personal (1): "
        + ", ".join(f"{one}: {value:.4f}" for one, value in curve.items())
        + f"; learned {told}: {learned:.4f}{moved}"
    )


def tell_contest(contest: Mapping[str, Any]) -> None:
    """Print how the learner of few shots was chosen: NDCG@10 on validation by first customers."""
    standings = contest["validation_ndcg@10"]
    shots = list(next(iter(standings.values())))
    console.print_table(
        f"few-shot learner: {contest['kept']}",
        ["learner", *(f"k = {count}" for count in shots)],
        [
            [name, *(f"{of_learner[count]:.4f}" for count in shots)]
            for name, of_learner in standings.items()
        ],
    )

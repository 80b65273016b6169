"""`coldstart meta-train`: fine-tune the model on launches."""

from typing import Annotated, Final

import typer

from coldstart_models.commands import console
from coldstart_models.commands.train import tell

NAME: Final = "meta-train"
EXAMPLES: Final = """Examples:

  coldstart meta-train

  coldstart meta-train --seed 1 --json

  coldstart meta-train --learner bayes
"""


def run(
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of every random choice; the model's own by default."),
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option(help="Of a listing's first customers; `auto` is chosen by validation."),
    ] = None,
    device: console.Device = None,
    processes: console.Processes = None,
    most_events: console.MostEvents = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Meta-fine-tune the latest model on launch episodes, and choose its few-shot learner."""
    from coldstart_models.config import load_config
    from coldstart_models.training_job import meta_train_job
    from feature_repo.home import Home

    settings = load_config(config)
    with console.bar("meta-train") as progress:
        result = meta_train_job(
            home=Home.current(),
            now=console.present(as_of),
            until=console.known_until(as_of),
            seed=seed,
            learner=settings.meta.learner if learner is None else learner,
            schedule=settings.train.learning().meta_train,
            device=device or settings.train.device,
            processes=processes or settings.train.processes,
            most_events=most_events or settings.train.most_events,
            progress=progress,
        )
    tell(result, json=json)

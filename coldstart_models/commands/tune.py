"""`coldstart tune`: which schedule of learning ranks best on this shop's own past."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models import usual
from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.tuning import Tuned

NAME: Final = "tune"
EXAMPLES: Final = """Examples:

  coldstart tune

  coldstart tune --trials 40 --out tuned.toml

  coldstart train --config tuned.toml && coldstart meta-train --config tuned.toml
"""


def run(
    trials: Annotated[
        int, typer.Option(min=1, help="In all; those of a stopped run are counted.")
    ] = usual.TRIALS,
    seeds: Annotated[
        int, typer.Option(min=1, help="Models that a trial is the mean of.")
    ] = usual.TRIAL_SEEDS,
    study: Annotated[
        Path | None, typer.Option(help="The journal of trials; studies/tune.log by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write coldstart.toml with the best in it.")
    ] = None,
    config: console.ConfigFile = None,
    json: console.Json = False,
) -> None:
    """Search for the schedule of `train` and `meta-train` that ranks later launches best.

    Everything is chosen on a cut inside the log; a stopped search goes on where it was. Trials
    start from the general model that the configuration names, as `train` does.
    """
    from coldstart_models.config import load_config, with_learning
    from coldstart_models.general.artifact import load_general
    from coldstart_models.outputs import require_writable
    from coldstart_models.training_job import read_training_set
    from coldstart_models.tuning import tune
    from feature_repo.home import Home
    from validation.whole_files import replacing

    require_writable(out, option="--out")
    require_writable(study, option="--study")
    read, home = load_config(config), Home.current()
    settings = read.train
    general = load_general(settings.general) if settings.general is not None else None
    with console.bar("tune") as progress:
        found = tune(
            read_training_set(home, most_events=settings.most_events),
            study or home.studies / "tune.log",
            trials=trials,
            seeds=seeds,
            dates=settings.dates,
            general=general,
            progress=progress,
        )
    if out is not None:
        with replacing(out) as partial:
            partial.write_text(with_learning(read, found.best.learning), encoding="utf-8")
    tell(found, out=out, json=json)


def tell(found: "Tuned", *, out: Path | None, json: bool) -> None:
    """Print the trials, best first, and what to do with the best."""
    if json:
        console.print_json(found.as_dict())
        return
    ranked = sorted(found.trials, key=lambda one: (one.stopped, -one.mean))
    names = list(asdict(found.default.learning))
    console.print_table(
        f"NDCG@10 on {found.candidates} {found.cut} of the past, {found.users} people",
        ["trial", *names, "ndcg@10", ""],
        [
            [
                one.number,
                *(f"{value:.2g}" for value in asdict(one.learning).values()),
                one.mean,
                "stopped" if one.stopped else "own" if one == found.default else "",
            ]
            for one in ranked
        ],
    )
    best, default = found.best, found.default
    if best == default:
        console.say("the package's own schedule was the best: there is nothing to change")
        return
    console.say(
        f"trial {best.number} ranks {best.mean / default.mean - 1:+.1%} against the package's own; "
        "a gain on one cut can be chance: evaluate before you serve it"
    )
    if out is None:
        console.say(
            f"to use it, put this into coldstart.toml, or ask again with --out:\n\n{found.toml()}"
        )
    else:
        console.say(
            f"written to {out}: coldstart train --config {out}, "
            f"then coldstart meta-train --config {out}"
        )

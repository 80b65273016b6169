"""`coldstart pretrain`: the general model of many shops."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.general.artifact import GeneralModel

NAME: Final = "pretrain"
EXAMPLES: Final = """Examples:

  coldstart pretrain

  coldstart pretrain complete-journey table:shop_a table:shop_b --out general_model

  coldstart pretrain table:shop_a --licence "shop_a=CC BY 4.0" --workdir stores --json

  coldstart pretrain table:shop_en table:shop_zh --text-encoder use-multilingual

One encoder a modality reads all shops; the state that starts from the model is to be of the same.
"""
OUT: Final = Path("general_model")


def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Each as `coldstart ingest` takes it; marketplace and complete-journey by default."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The model's folder.")] = OUT,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every random choice.")] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TERMS of a source's data, where the source does not say."),
    ] = None,
    workdir: Annotated[
        Path | None,
        typer.Option(
            help="Keep the shops' stores here; a later run takes them up as they were ingested."
        ),
    ] = None,
    image_encoder: Annotated[
        str | None,
        typer.Option(
            help="One of `coldstart encoders list`, for every shop; efficientnet-lite0 by default."
        ),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(help="Likewise, minilm by default; for several languages use-multilingual."),
    ] = None,
    device: console.Device = None,
    processes: console.Processes = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Learn across shops what is chosen together, for `coldstart train --general`."""
    from coldstart_models.benchmark_run import DEFAULT_ENCODERS, Encoders
    from coldstart_models.config import load_config
    from coldstart_models.general.pretraining_job import DEFAULT_SOURCES, pretrain_job
    from coldstart_models.general.shops import licences_stated
    from coldstart_models.outputs import require_writable
    from coldstart_models.siamese.curves import run_folder
    from feature_repo.home import Home

    require_writable(out, option="--out", folder=True)
    require_writable(workdir, option="--workdir", folder=True)
    settings = load_config(config)
    encoders = Encoders(
        image=image_encoder or settings.extract.image_encoder or DEFAULT_ENCODERS.image,
        text=text_encoder or settings.extract.text_encoder or DEFAULT_ENCODERS.text,
    )
    with ExitStack() as stack:
        now = console.present(as_of)
        model, cost = pretrain_job(
            sources or DEFAULT_SOURCES,
            out=out,
            now=now,
            seed=settings.train.seed if seed is None else seed,
            workdir=workdir,
            licences=licences_stated(licence or []),
            encoders=encoders,
            device=device or settings.train.device,
            processes=processes or settings.train.processes,
            checkpoint=Home.current().checkpoints / f"{NAME}.json",
            curves=run_folder(Home.current(), NAME, now),
            progress=lambda step: stack.enter_context(console.bar(step)),
        )
    if json:
        console.print_json({"folder": str(out), **model.told(), "cost": cost.as_dict()})
        return
    tell(model, out)
    console.say(str(cost))


def tell(model: "GeneralModel", out: Path) -> None:
    """Print what the model was made of and whether that helps a shop it has not seen."""
    made = model.provenance
    console.print_table(
        f"general model {model.digest}",
        ["source", "licence", "listings", "events", "contents", "pairs", "alike", "general"],
        [
            [
                label + (" (generated)" if one.generated else ""),
                one.licence,
                one.items,
                one.events,
                one.contents,
                one.pairs,
                *made.by_shop[label],
            ]
            for one, label in zip(made.sources, made.labels, strict=True)
        ],
    )
    console.say(
        "alike, general: NDCG@10 by content similarity and by the model, on each shop while it "
        "was left out"
    )
    told = ", ".join(f"{step}: {value:.4f}" for step, value in made.checks)
    console.say(f"mean by step: {told}; kept step {made.kept_step}")
    console.say(f"written to {out}; start from it by `coldstart train --general {out}`")

"""`coldstart encoders adapt`: an encoder learns the shop's own photos and titles."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from coldstart_models import usual
from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.domain.adapted import Adapted
    from coldstart_models.domain.setting import Setting
    from coldstart_models.errors import NotBetter

EXAMPLES: Final = """Examples:

  coldstart encoders adapt --out encoders/ours

  coldstart encoders adapt --objective pairs --blocks 3 --out encoders/ours

  coldstart encoders adapt --objective labels --objective pairs --out encoders/ours

  coldstart encoders adapt --objective views,neighbours --source clothing --out encoders/photos

  coldstart encoders adapt --objective source --align coral --source clothing --out encoders/coral

  coldstart encoders adapt --base minilm --objective labels --lora 8 --out encoders/texts

  coldstart encoders adapt --base resnet50 --weights resnet50.pth --out encoders/resnet

  coldstart encoders adapt --objective pairs --processes 4 --batch 512 --out encoders/ours

Afterwards:

  coldstart extract --image-encoder folder:encoders/ours/image

  coldstart encoders use folder:encoders/ours/image
"""
NOT_BETTER: Final = 3
"""Exit code where the base is kept."""


def adapt(
    out: Annotated[
        Path, typer.Option(help="Folder to write; with titles or pairs it holds image and text.")
    ],
    base: Annotated[
        str, typer.Option(help="Encoder to adapt, of `coldstart encoders list`.")
    ] = "efficientnet-lite0",
    weights: Annotated[
        Path | None, typer.Option(help="The base's weights file, as of resnet50.")
    ] = None,
    text_encoder: Annotated[
        str, typer.Option(help="Encoder of the titles that photos learn from.")
    ] = "minilm",
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="titles (default of photos), pairs, labels (of texts), views, neighbours, source; "
            "several add up, but for titles."
        ),
    ] = None,
    align: Annotated[
        str | None, typer.Option(help="coral, dann or adabn: the source's photos to the home's.")
    ] = None,
    contrast: Annotated[str, typer.Option(help="Of pairs: clip or siglip.")] = "clip",
    supervision: Annotated[
        str, typer.Option(help="Of labels: contrast or cross-entropy.")
    ] = "contrast",
    photos: Annotated[
        Path | None,
        typer.Option(help="Learn from this folder instead of the ingested catalogue."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Photos of another domain, by class; else the catalogue's others than home."
        ),
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=0, help="Last blocks that learn; 3 by default, 0 of titles.")
    ] = None,
    lora: Annotated[
        int, typer.Option(min=0, help="Rank of changes to linear layers, instead of blocks.")
    ] = 0,
    text_lora: Annotated[
        int, typer.Option(min=0, help="The same for --text-encoder; 0 learns its head alone.")
    ] = 0,
    views: Annotated[
        int, typer.Option(min=1, help="Of each photo, itself and random cuts of it.")
    ] = usual.VIEWS,
    width: Annotated[int, typer.Option(min=2, help="Numbers of a vector, at most.")] = usual.WIDTH,
    epochs: Annotated[int, typer.Option(min=1)] = usual.EPOCHS,
    batch: Annotated[int, typer.Option(min=2, help="Items a step.")] = usual.BATCH,
    rate: Annotated[float, typer.Option(help="How fast the encoder's weights learn.")] = usual.RATE,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a gain to stop at.")
    ] = usual.PATIENCE,
    keep: Annotated[float, typer.Option(help="Weight of staying near the base.")] = usual.KEEP,
    max_forgetting: Annotated[
        float, typer.Option(help="Share of the source's precision that may be lost.")
    ] = usual.MOST_FORGOTTEN,
    validate: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of items that judge.")
    ] = usual.VALIDATE,
    holdout: Annotated[
        float,
        typer.Option(
            min=0, max=0.9, help="Share of items kept out, on which before and after is told."
        ),
    ] = usual.HOLD,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[
        str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, or cuda:1.")
    ] = "auto",
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Learn in so many processes, a GPU each or on the processor; they share --batch.",
        ),
    ] = 1,
    json: console.Json = False,
) -> None:
    """Adapt an encoder to the catalogue and save it as a folder; the base stays if it is better.

    Exit code 3 where nothing better than the base was found, and nothing is written.
    """
    from contextlib import ExitStack

    from coldstart_models.domain import aims, examples, freedom, learning
    from coldstart_models.domain.adapted import require_room
    from coldstart_models.domain.job import adapt_job
    from coldstart_models.domain.setting import Setting
    from coldstart_models.errors import ConfigError, NotBetter
    from coldstart_models.outputs import require_writable
    from coldstart_models.processes import found_device, require_devices
    from coldstart_models.siamese.curves import run_folder
    from feature_repo.encoders.encoder import Modality
    from feature_repo.encoders.registry import lasting_name, load_encoder
    from feature_repo.home import Home

    require_writable(out, option="--out", folder=True)
    if processes > 1:
        require_devices(found_device(device), processes)
    named = lasting_name(f"{base}:{weights}" if weights is not None else base)
    encoder = load_encoder(named, device="cpu")  # here only to be asked what it is
    if source is not None and encoder.modality is Modality.TEXT:
        raise ConfigError("--source is of photos, and the base reads texts: leave it out")
    chosen = tuple(one for given in objective or [] for one in given.split(",") if one)
    if not chosen and align is None:
        chosen = (aims.LABELS,) if encoder.modality is Modality.TEXT else (aims.TITLES,)
    asked = aims.Aims(
        objectives=chosen, align=align, contrast=contrast, supervision=supervision, keep=keep
    )
    free = freedom.Freedom(blocks=blocks or 0, rank=lora)
    if blocks is None and not lora and asked.learns:
        free = freedom.usual_freedom(encoder)
    del encoder  # it is loaded anew to learn, on its device
    setting = Setting(
        base=named,
        text=lasting_name(text_encoder) if asked.needs_text else None,
        aims=asked,
        schedule=learning.Schedule(
            epochs=epochs,
            batch=batch,
            rate=rate,
            head_rate=usual.HEAD_FASTER * rate,
            patience=patience,
        ),
        freedom=free,
        text_freedom=freedom.Freedom(rank=text_lora),
        width=width,
        views=views,
        validate=validate,
        hold=holdout,
        most_forgotten=max_forgetting,
        seed=seed,
    )
    require_room(out, setting)
    home = Home.current()
    listed, elsewhere = (
        (examples.of_folder(photos), None) if photos is not None else examples.of_home(home)
    )
    with ExitStack() as stack:
        drawn = run_folder(home, f"adapt-{out.name}", console.present())
        try:
            found = adapt_job(
                listed,
                setting,
                load=load_encoder,
                out=out,
                cache=home.feature_maps,
                source=examples.of_folder(source) if source is not None else elsewhere,
                processes=processes,
                device=device,
                progress=lambda step: stack.enter_context(console.bar(step)),
                curves=drawn,
            )
        except NotBetter as reason:
            stack.close()  # the bars, before anything is said
            _tell_not_better(reason, setting, json=json)
            raise typer.Exit(NOT_BETTER) from None
    if found is None:
        return
    if json:
        console.print_json({"better": True, **found.as_dict()})
        return
    _tell(found, setting)


def _tell_not_better(reason: "NotBetter", setting: "Setting", *, json: bool) -> None:
    """Print what was found all the same; the reason is one line on standard error."""
    from coldstart_models.learning_costs import Cost

    if not reason.found:  # another process tells
        return
    if json:
        console.print_json({"better": False, "reason": str(reason), **reason.found})
    else:
        _tell_checks(reason.found, setting)
        console.say(str(Cost.from_dict(reason.found["cost"])))
    typer.echo(f"coldstart: {' '.join(str(reason).split())}", err=True)


def _tell_checks(found: Mapping[str, Any], setting: "Setting") -> None:
    """Print the table of the checks, of what is JSON-ready."""
    counts = ", ".join(f"{count} {name}" for name, count in found["items"].items() if count)
    measures = list(found["checks"][0]["told"])
    console.print_table(
        f"{setting.base}: {counts}",
        ["epoch", "gain", *measures],
        [
            [
                f"{check['epoch']} (kept)"
                if check["epoch"] == found["kept_epoch"]
                else str(check["epoch"]),
                f"{check['gain'] - 1:+.1%}",
                *(check["told"][name] for name in measures),
            ]
            for check in found["checks"]
        ],
    )


def _tell(found: "Adapted", setting: "Setting") -> None:
    _tell_checks(found.as_dict(), setting)
    whole, cut, after = (one.as_dict() for one in (found.whole, found.before, found.after))
    if whole:
        console.print_table(
            "Held-out items, which were neither learned from nor chosen by",
            ["measure", "before", f"before, {setting.width} numbers", "after", "gain"],
            [
                [
                    name,
                    value,
                    cut[name],
                    after[name],
                    f"{after[name] / value - 1:+.1%}" if value else "-",
                ]
                for name, value in whole.items()
            ],
        )
    if found.record.best.forgotten:
        console.say(f"of the source's precision {found.record.best.forgotten:.1%} is forgotten")
    console.say(str(found.cost))
    for modality, folder in found.folders.items():
        name = f"folder:{folder}"
        console.say(
            f"next: `coldstart extract --{modality}-encoder {name}`, then "
            f"`coldstart encoders use {name}`"
        )

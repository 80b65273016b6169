"""`coldstart encoders begin`: a network's weights from photos, where none can be had."""

from pathlib import Path
from typing import Annotated, Final

import typer

from coldstart_models import usual
from coldstart_models.commands import console

EXAMPLES: Final = """Examples:

  coldstart encoders begin resnet50 --source clothing --out resnet50-clothing.pth

  coldstart encoders begin resnet50 --source clothing --size 224 --epochs 90 --out resnet50.pth

  coldstart encoders adapt --base resnet50 --weights resnet50-clothing.pth --out encoders/resnet
"""


def begin(
    network: Annotated[str, typer.Argument(help="A classification network of torchvision.")],
    source: Annotated[
        Path, typer.Option(help="Photos with classes: a folder a class, or an items file.")
    ],
    out: Annotated[Path, typer.Option(help="The weights file to write.")],
    teacher: Annotated[
        str, typer.Option(help="Encoder whose vectors are imitated as well; 'none' for none.")
    ] = "efficientnet-lite0",
    size: Annotated[int, typer.Option(help="Side of the photos in pixels.")] = usual.NETWORK_SIZE,
    epochs: Annotated[int, typer.Option(min=1)] = usual.NETWORK_EPOCHS,
    batch: Annotated[int, typer.Option(min=2, help="Photos a step.")] = usual.NETWORK_BATCH,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, or cuda:1.")] = None,
    json: console.Json = False,
) -> None:
    """Learn a network from nothing on photos with classes, and write a weights file."""
    from dataclasses import asdict

    from coldstart_models.domain.beginning import Beginning
    from coldstart_models.domain.beginning import begin as learn
    from coldstart_models.domain.examples import of_folder
    from coldstart_models.outputs import require_writable
    from coldstart_models.processes import found_device
    from coldstart_models.siamese.curves import run_folder, tensorboard
    from feature_repo.encoders.registry import load_encoder
    from feature_repo.home import Home

    require_writable(out, option="--out")
    chosen = str(found_device(device))
    setting = Beginning(network=network, size=size, epochs=epochs, batch=batch, seed=seed)
    drawn = run_folder(Home.current(), f"begin-{network}", console.present())
    with console.bar("learn") as progress, tensorboard(drawn) as curves:
        found = learn(
            of_folder(source),
            setting,
            out=out,
            device=chosen,
            teacher=None if teacher == "none" else load_encoder(teacher, device=chosen),
            progress=progress,
            curves=curves,
        )
    if json:
        console.print_json(asdict(found))
        return
    console.say(
        f"{network} learned {found.classes} classes from {found.photos} photos: "
        f"{found.accuracy:.1%} of photos that were kept out are told right"
    )
    console.say(str(found.cost))
    kind = network if network == "resnet50" else f"torchvision:{network}"
    console.say(f"next: `coldstart encoders adapt --base {kind} --weights {out} --out FOLDER`")

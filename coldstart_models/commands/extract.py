"""`coldstart extract`: photos and texts become embeddings."""

from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "extract"
EXAMPLES: Final = """Examples:

  coldstart extract

  coldstart extract --image-encoder resnet50 --json

  coldstart extract --text-encoder use-multilingual && coldstart encoders use use-multilingual

An encoder other than the one that serves fills rows beside that one's; `encoders use` switches.
"""


def run(
    image_encoder: Annotated[
        str | None,
        typer.Option(help="One of `coldstart encoders list`; by default the one that serves."),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(help="One of `coldstart encoders list`; by default the one that serves."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Items a batch.")] = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Encode new and changed photos and texts; what is unchanged is skipped."""
    from coldstart_models.config import load_config
    from feature_repo.encoders.encoder import Modality
    from feature_repo.home import Home
    from feature_repo.jobs.extract import extract, serving_name

    settings, home = load_config(config).extract, Home.current()
    photos, texts = (serving_name(home, modality) for modality in (Modality.IMAGE, Modality.TEXT))
    with console.bar("extract") as progress:
        result = extract(
            home=home,
            now=console.present(as_of),
            image_encoder=image_encoder or settings.image_encoder or photos,
            text_encoder=text_encoder or settings.text_encoder or texts,
            batch_size=batch_size or settings.batch_size,
            progress=progress,
        )
    if json:
        console.print_json(result.as_dict())
        return
    rows = [
        [name, one.encoder, one.encoded, one.skipped, one.quarantined, one.absent, one.removed]
        for name, one in result.modalities.items()
    ]
    console.print_table(
        f"Extracted in {result.seconds:.1f} s",
        ["modality", "encoder", "encoded", "skipped", "quarantined", "absent", "removed"],
        rows,
    )
    if result.pairs is not None and result.pairs.warnings:
        console.say(
            f"{result.pairs.warnings} of {result.pairs.received} photos do not look like what "
            f"their texts say: see {home.gate_results / 'photo_text.csv'}"
        )
    for name, one in result.modalities.items():
        if not one.serves:
            console.say(
                f"{name}: the rows of {one.encoder} stand beside those that serve; to switch, "
                f"run `coldstart encoders use {one.encoder_hash[:12]}`"
            )
        if one.unusual:
            console.say(f"{name}: {one.unusual} new vectors are far from all others; they are kept")
        for note in one.notes:
            console.say(f"{name}: {note}")

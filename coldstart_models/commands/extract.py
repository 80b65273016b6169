"""`coldstart extract`: photos and texts become embeddings."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.config import ExtractConfig
    from feature_repo.jobs.ray_engine import RayCluster

NAME: Final = "extract"
EXAMPLES: Final = """Examples:

  coldstart extract

  coldstart extract --image-encoder resnet50 --json

  coldstart extract --text-encoder use-multilingual && coldstart encoders use use-multilingual

  coldstart extract --batch-size 1024 --compile --decoders 16

  coldstart extract --engine ray --workers 2

  coldstart extract --engine ray --address ray-head:6379

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
    precision: Annotated[
        str | None,
        typer.Option(help="float32 or bfloat16; by default bfloat16 on a GPU that has it."),
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the encoders by torch.compile."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="local, or ray: the actors of a Ray cluster (extra `ray`)."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Of a Ray cluster; by default Ray is started here for the job."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Ray's actors; by default one a GPU, or one a machine."),
    ] = None,
    decoders: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that read and decode photos; 0, the default: threads."),
    ] = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Encode new and changed photos and texts; what is unchanged is skipped."""
    from coldstart_models.config import load_config
    from feature_repo.encoders.encoder import Modality
    from feature_repo.home import Home
    from feature_repo.jobs.extract import extract, serving_name

    given = {
        "precision": precision,
        "engine": engine,
        "address": address,
        "workers": workers,
        "decoders": decoders,
    }
    settings, home = load_config(config).extract.changed(**given), Home.current()
    photos, texts = (serving_name(home, modality) for modality in (Modality.IMAGE, Modality.TEXT))
    with console.bar("extract", rate="items/s") as progress:
        result = extract(
            home=home,
            now=console.present(as_of),
            image_encoder=image_encoder or settings.image_encoder or photos,
            text_encoder=text_encoder or settings.text_encoder or texts,
            batch_size=batch_size or settings.batch_size,
            progress=progress,
            precision=settings.precision,
            compiled=settings.compiled if compiled is None else compiled,
            cluster=_cluster(settings),
            decoders=settings.decoders,
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


def _cluster(settings: "ExtractConfig") -> "RayCluster | None":
    """Where to encode; None for here. Raises typer.BadParameter for options of the other engine."""
    from feature_repo.jobs.ray_engine import RayCluster

    if settings.engine == "ray":
        if settings.decoders:
            raise typer.BadParameter("--decoders is of --engine local: Ray's actors use threads")
        return RayCluster(settings.address, settings.workers)
    if settings.address is not None or settings.workers is not None:
        raise typer.BadParameter("--address and --workers are of --engine ray: give it as well")
    return None

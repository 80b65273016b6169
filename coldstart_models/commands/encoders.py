"""`coldstart encoders`: which there are, which is best on this catalogue, which one serves."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from coldstart_models.commands import adapt, begin, console
from coldstart_models.commands.benchmark import Cutoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from coldstart_models.data.catalogue import Catalogue
    from coldstart_models.data.splits import Split
    from coldstart_models.encoder_comparison_result import Comparison, Measured
    from feature_repo.home import Home

NAME: Final = "encoders"
EXAMPLES: Final = """Examples:

  coldstart encoders list

  coldstart encoders compare efficientnet-lite0 minilm hf-image:google/siglip-base-patch16-224

  coldstart encoders use hf-image:google/siglip-base-patch16-224

  coldstart encoders adapt --out encoders/ours
"""
COMPARE_EXAMPLES: Final = """Examples:

  coldstart encoders compare

  coldstart encoders compare efficientnet-lite0 torchvision:convnext_tiny minilm --sample 2000

  coldstart encoders compare hf-image:models/siglip hf-text:models/siglip --out siglip.json
"""

SAMPLE: Final = 1_000
"""Items compared on by default: about a minute on two free cores."""
USE_EXAMPLES: Final = """Examples:

  coldstart extract --text-encoder use-multilingual

  coldstart encoders use use-multilingual

  coldstart encoders use --back
"""

app = typer.Typer(
    help="List, compare, adapt and switch the encoders of photos and texts.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", epilog="Example:\n\n  coldstart encoders list --json")
def list_known(json: console.Json = False) -> None:
    """Tell which encoders there are, which can be loaded now, and which serve here."""
    from feature_repo.encoders.registry import ENCODERS, at_hand, unavailable
    from feature_repo.home import Home

    rows = []
    for known in ENCODERS.values():
        reason, cached = unavailable(known.name), at_hand(known.name)
        rows.append(
            {
                "name": known.name,
                "modality": str(known.modality) if known.modality else None,
                "width": known.width,
                "licence": known.licence,
                "weights": known.weights,
                "loadable": reason is None,
                "reason": reason,
                "cached": cached,
            }
        )
    here = _extracted(Home.current())
    if json:
        console.print_json({"encoders": rows, "extracted": here})
        return
    console.print_table(
        "Encoders",
        ["name", "modality", "width", "licence", "weights from", "can be loaded now"],
        [[*list(row.values())[:5], _loadable(row)] for row in rows],
    )
    for row in rows:
        if row["reason"]:
            console.say(f"{row['name']}: {row['reason']}")
    if here:
        columns = ["name", "modality", "hash", "rows", "serves"]
        console.print_table(
            "Extracted here",
            columns,
            [[one[column] for column in columns] for one in here],
        )


@app.command(epilog=USE_EXAMPLES)
def use(
    name: Annotated[
        str | None, typer.Argument(help="As `extract` was given it, or the hash's first digits.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Take the last switch back.")] = False,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Serve an encoder's features instead of the present one's, in one step."""
    from feature_repo.home import Home
    from feature_repo.jobs.switch import take_back, use_encoder

    if (name is None) is not back:
        raise typer.BadParameter("give either the name of an encoder or --back")
    home, now = Home.current(), console.present(as_of)
    done = take_back(home=home, now=now) if name is None else use_encoder(name, home=home, now=now)
    if json:
        console.print_json(done.as_dict())
        return
    before = f" instead of {done.instead_of}" if done.instead_of else ""
    console.say(f"{done.encoder.name} serves{before}: {done.filled.done} {done.encoder.modality}s")
    if done.filled.missing:
        console.say(f"{done.filled.missing} have no row of it yet: run `coldstart extract`")
    until = "" if back else ", until `coldstart encoders use --back`"
    console.say(
        "next: `coldstart materialize`, and `coldstart train` where the latest model was trained "
        f"on another encoder: it is refused{until}"
    )


app.command("adapt", epilog=adapt.EXAMPLES)(adapt.adapt)
app.command("begin", epilog=begin.EXAMPLES)(begin.begin)


@app.command(epilog=COMPARE_EXAMPLES)
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Encoders; by default all named ones that can be loaded."),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Items to compare on.")] = SAMPLE,
    cutoff: Cutoff = None,
    random_items: Annotated[
        float, typer.Option(help="Without a cutoff: the share of the items that are cold.")
    ] = 0.2,
    out: Annotated[Path | None, typer.Option(help="Write the results here as JSON.")] = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Measure encoders on the ingested catalogue: speed, and what their vectors find."""
    from coldstart_models.commands.benchmark import write_json
    from coldstart_models.encoder_comparison import compare as measure
    from coldstart_models.outputs import require_writable
    from feature_repo.encoders.registry import ENCODERS, load_encoder, unavailable
    from feature_repo.home import Home

    require_writable(out, option="--out")
    home, now = Home.current(), console.present(as_of)
    by_default = [name for name in ENCODERS if ":" not in name and unavailable(name) is None]
    with ExitStack() as stack:
        found = measure(
            names or by_default,
            home=home,
            now=now,
            load=load_encoder,
            cut=_cut(home, cutoff, random_items),
            sample=sample,
            progress=lambda step: stack.enter_context(console.bar(step)),
        )
    if out is not None:
        write_json(found, out)
    if json:
        console.print_json(found.as_dict())
    else:
        _tell(found)


def _cut(home: "Home", cutoff: str | None, random_items: float) -> "Callable[[Catalogue], Split]":
    """How a sample's log is cut: at a date, or by a share of the items."""
    from coldstart_models.data.splits import cutoff_split, random_items_split
    from coldstart_models.training_job import training_set

    moment = console.moment(cutoff, option="--cutoff") if cutoff else None

    def cut(catalogue: "Catalogue") -> "Split":
        log = training_set(catalogue, home=home)
        if moment is not None:
            return cutoff_split(catalogue, log.interactions, moment, dated=log.dated)
        return random_items_split(
            catalogue, log.interactions, random_items, seed=0, timed=log.timed, dated=log.dated
        )

    return cut


def _extracted(home: "Home") -> list[dict[str, Any]]:
    """The encoders that have rows in this state."""
    from feature_repo.encoder_tables import (
        encoder_records,
        encoder_table,
        held_hashes,
        served_hash,
    )
    from feature_repo.encoders.encoder import Modality

    return [
        {
            "name": one.name,
            "modality": str(one.modality),
            "hash": one.hash[:12],
            "rows": sum(held_hashes(encoder_table(home, one.view, one.hash)).values()),
            "serves": "yes" if served_hash(home, one.view) == one.hash else "no",
        }
        for modality in Modality
        for one in encoder_records(home, modality)
    ]


def _loadable(row: dict[str, Any]) -> str:
    if row["reason"]:
        return "no"
    if ":" not in row["name"]:
        return "yes"
    return ", ".join(row["cached"]) or "by path"


def _tell(found: "Comparison") -> None:
    metrics = list(dict.fromkeys(name for row in found.encoders for name in row.measured))
    console.print_table(
        f"{found.sample} of {found.items} items of {', '.join(found.sources)}"
        + (f"; {found.split}" if found.split else ""),
        ["encoder", "modality", "width", "items/s", *metrics],
        [
            [
                row.encoder,
                row.modality,
                row.width,
                f"{row.items_per_second:.0f}",
                *(_shown(row.measured.get(metric)) for metric in metrics),
            ]
            for row in found.encoders
        ],
    )
    if found.pairs:
        recalls = list(found.pairs[0].measured)
        console.print_table(
            f"Title → photo, among {found.pairs[0].candidates} photos",
            ["images by", "texts by", "space", *recalls],
            [
                [
                    row.image,
                    row.text,
                    "shared" if row.shared_space else "mapped",
                    *(_shown(row.measured.get(recall)) for recall in recalls),
                ]
                for row in found.pairs
            ],
        )
    for skipped in found.skipped:
        console.say(f"left out: {skipped.what}: {skipped.reason}")


def _shown(measured: "Measured | None") -> str:
    if measured is None:
        return "-"
    return f"{measured.value:.3f} ({measured.low:.3f}–{measured.high:.3f})"

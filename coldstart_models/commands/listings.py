"""`coldstart listings`: new listings become recommendable at once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "listings"
EXAMPLES: Final = """Examples:

  coldstart listings feed/items.jsonl

  coldstart listings new.parquet --source spring --json
"""


def run(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV or JSON Lines; photos beside it.")],
    source: Annotated[str, typer.Option(help="Value of the source column.")] = "service",
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Check, encode and push new listings: gate → extract → push → recommendable."""
    from coldstart_models.artifacts import find_model
    from coldstart_models.config import load_config
    from coldstart_models.listing_encoders import load_encoders
    from coldstart_models.listings import add_listings
    from coldstart_models.served_model import served_tag
    from coldstart_models.served_recommender import load_served
    from feature_repo.home import Home
    from feature_repo.replicas.exchange import Exchange
    from feature_repo.store import Store

    home, now, rules = Home.current(), console.present(as_of), load_config(config).gate.rules()
    frame, store = read_listings(file), Store(home)
    recommender = load_served(home, tag=served_tag(home))
    with console.bar("listings") as progress:
        result = add_listings(
            frame,
            home=home,
            store=store,
            recommender=recommender,
            encoders=load_encoders(find_model(home, tag=recommender.tag).contract, home=home),
            now=now,
            source=source,
            rules=rules,
            progress=progress,
        )
    Exchange(home, store).look()  # no service may run here that would tell other folders
    if json:
        console.print_json(
            {
                "accepted": list(result.accepted),
                "warnings": [
                    {"item_id": row.id, "reasons": list(row.reasons)} for row in result.warned
                ],
                "quarantined": [
                    {"item_id": row.id, "reasons": list(row.reasons)} for row in result.quarantined
                ],
            }
        )
        return
    console.say(f"{len(result.accepted)} of {len(frame)} listings can be recommended now")
    if result.warned:
        console.print_table(
            f"{len(result.warned)} accepted, worth mending",
            ["item", "what to mend"],
            [[row.id, "; ".join(row.reasons)] for row in result.warned],
        )
    if result.quarantined:
        console.print_table(
            f"{len(result.quarantined)} in quarantine",
            ["item", "what to mend"],
            [[row.id or "(no id)", "; ".join(row.reasons)] for row in result.quarantined],
        )


def read_listings(file: Path) -> "pd.DataFrame":
    """The listings as raw values, photos' paths made absolute beside the file.

    Raises SourceError where the file is not there or is of another kind.
    """
    from feature_repo.catalogs.table import read_items

    return read_items(file)

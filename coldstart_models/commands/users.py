"""`coldstart users`: what a person may ask of the shop."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "users"
EXAMPLES: Final = """Examples:

  coldstart users erase u42

  coldstart users erase u42 --json
"""

app = typer.Typer(
    help="Erase a person.", epilog=EXAMPLES, no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def users() -> None:
    """What a person may ask of the shop."""


@app.command(epilog=EXAMPLES)
def erase(
    user_id: Annotated[str, typer.Argument(help="The id under which events come.")],
    json: console.Json = False,
) -> None:
    """Erase a person's events and all that was made of them; prints the receipt.

    What they did up to now is refused from here on, wherever it comes from; what they do later
    begins anew. A service that runs on the same folder notices within a second. Models that were
    trained before keep their weights: train again.
    """
    from coldstart_models.erasing import erase_user
    from feature_repo.home import Home
    from feature_repo.store import Store

    home = Home.current()
    receipt = erase_user(
        user_id, home=home, store=Store(home), recommender=None, now=datetime.now(UTC)
    )
    if json:
        console.print_json(receipt.as_dict())
        return
    console.print_table(
        f"Erased {receipt.user_hash[:16]}… in {receipt.seconds} s",
        ["where", "gone"],
        [[place, count] for place, count in receipt.erased.items()],
    )
    again = sum(receipt.computed_again.values())
    console.say(f"{again} rows of {receipt.items} items and their categories were computed again")
    for one in receipt.left_online:
        console.say(f"not gone yet: {one}")

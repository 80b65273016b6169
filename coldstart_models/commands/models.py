"""`coldstart models`: which models there are, and which one is served."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from coldstart_models.served_model import Choice

NAME: Final = "models"
EXAMPLES: Final = """Examples:

  coldstart models list

  coldstart models use latest

  coldstart models use coldstart-siamese:6qf3nzv2jkq7u

  coldstart models rollback
"""

app = typer.Typer(
    help="Show the models, serve another one, go back.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", epilog=EXAMPLES)
def list_stored(json: console.Json = False) -> None:
    """Tell every model, newest last, and which one is served."""
    from coldstart_models.artifacts import list_models
    from coldstart_models.served_model import read_choice
    from feature_repo.home import Home

    home = Home.current()
    models, choice = list_models(home), read_choice(home)
    served = choice.tag if choice else models[-1].tag if models else None
    rows = [
        {
            "model": model.tag,
            "trained_at": model.contract.trained_at.isoformat(timespec="seconds"),
            "sources": list(model.contract.sources),
            "served": model.tag == served,
        }
        for model in models
    ]
    if json:
        console.print_json({"models": rows, "choice": choice.to_json() if choice else None})
        return
    console.print_table(
        "Models",
        ["model", "trained at", "sources", "served"],
        [
            [row["model"], row["trained_at"], ", ".join(model.contract.sources), _mark(row)]
            for row, model in zip(rows, models, strict=True)
        ],
    )
    console.say(
        f"chosen at {choice.chosen_at:%Y-%m-%d %H:%M} UTC, "
        f"before it {choice.earlier[-1] if choice.earlier else 'none'}"
        if choice
        else "none was chosen: a service serves the newest of when it starts"
    )


@app.command(epilog=EXAMPLES)
def use(
    model: Annotated[str, typer.Argument(metavar="TAG", help="A tag, a version, or latest.")],
    json: console.Json = False,
) -> None:
    """Serve this model; services that run on the folder change to it without a pause.

    It is loaded and checked here first: its files, its contract against the features, a ranking.
    Each service checks again, and one that cannot serve it keeps what it has and says so in
    `status`.
    """
    from coldstart_models.artifacts import find_model
    from coldstart_models.served_model import choose
    from coldstart_models.served_recommender import examine, load_served
    from feature_repo.home import Home

    home = Home.current()
    stored = find_model(home, tag=model)
    with console.step("checked"):
        examine(load_served(home, tag=stored.tag))
    _tell(choose(home, tag=stored.tag, now=datetime.now(UTC)), json=json)


@app.command(epilog=EXAMPLES)
def rollback(json: console.Json = False) -> None:
    """Serve the model that was served before this one; again goes back one further."""
    from coldstart_models.served_model import go_back
    from feature_repo.home import Home

    _tell(go_back(Home.current(), now=datetime.now(UTC)), json=json)


def _tell(choice: "Choice", *, json: bool) -> None:
    if json:
        console.print_json(choice.to_json())
        return
    console.say(f"serve {choice.tag}; running services change to it within a second or as it loads")
    if choice.earlier:
        console.say(f"back to {choice.earlier[-1]}: coldstart models rollback")


def _mark(row: dict[str, object]) -> str:
    return "yes" if row["served"] else ""

"""`coldstart recommend`: new listings for one user."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "recommend"
EXAMPLES: Final = """Examples:

  coldstart recommend --user u13085 -k 10

  coldstart recommend --user u13085 --category "home > lamps" --max-price 80 --json

  coldstart recommend --user u13085 --personal 0.5
"""


class Pool(StrEnum):
    """Which listings are ranked."""

    NEW = "new"
    ALL = "all"


def run(
    user: Annotated[str, typer.Option("--user", "-u", help="The user's id.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many listings.")] = 10,
    pool: Annotated[Pool, typer.Option(help="New listings alone, or all.")] = Pool.NEW,
    category: Annotated[str | None, typer.Option(help="A category path.")] = None,
    max_price: Annotated[
        float | None,
        typer.Option(min=0.0, help="What costs more is left out; what has no price stays."),
    ] = None,
    personal: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="From 0, what sells in general, to 1, the person alone; as learned by default.",
        ),
    ] = None,
    json: console.Json = False,
) -> None:
    """Recommend listings to a user from the features online now, with reasons."""
    from dataclasses import asdict

    from coldstart_models.errors import UnknownUser
    from coldstart_models.online_histories import read_histories
    from coldstart_models.served_model import served_tag
    from coldstart_models.served_recommender import load_served
    from feature_repo.home import Home
    from feature_repo.store import Store

    home = Home.current()
    recommender = load_served(home, tag=served_tag(home))
    history = read_histories([user], store=Store(home)).get(user)
    if history is None:
        raise UnknownUser(
            f"user {user!r} has no event online; ingest and materialize the user's events, or "
            "ask the service for `popular`"
        )
    found = recommender.recommend(
        history,
        k=k,
        pool=pool.value,
        category=category,
        max_price=max_price,
        exclude=set(history.item_ids),
        personal=personal,
    )
    known = recommender.knows(history)
    if json:
        console.print_json(
            {
                "user_id": user,
                "model": recommender.tag,
                "fallback": None if known else "popular",
                "recommendations": [asdict(one) for one in found],
            }
        )
        return
    how = "" if known else "; popular, as no listing of the history is served"
    console.print_table(
        f"For {user}, by {recommender.tag}{how}",
        ["item", "score", "new", "reason"],
        [[one.item_id, one.score, "yes" if one.is_new else "no", one.reason] for one in found],
    )

"""`coldstart materialize`: the newest features go online."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "materialize"
EXAMPLES: Final = """Examples:

  coldstart materialize

  coldstart materialize --end 2010-07-01 --view user_history
"""


def run(
    start: Annotated[
        str | None, typer.Option(help="From; the data's own start by default.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Until; the data's own end by default.")] = None,
    view: Annotated[
        list[str] | None, typer.Option(help="Only this feature view; may be repeated.")
    ] = None,
    json: console.Json = False,
) -> None:
    """Write the newest row of every entity online; count them there and read a sample back."""
    from coldstart_models.online_push import caught_up
    from feature_repo.home import Home
    from feature_repo.jobs.materialize import materialize
    from feature_repo.store import Store

    home = Home.current()
    store = Store(home)
    newest = nullcontext() if end else caught_up(home, store, now=datetime.now(UTC))
    with console.bar("materialize") as progress, newest:
        done = materialize(
            home=home,
            store=store,
            start=console.moment(start, option="--start") if start else None,
            end=console.moment(end, option="--end") if end else None,
            views=view or None,
            progress=progress,
        )
    if json:
        console.print_json(done.as_dict())
        return
    console.print_table(
        f"Materialized {done.result.rows} rows in {done.result.seconds:.1f} s",
        ["feature view", "rows", "seconds", "from", "to"],
        [[one.name, one.rows, one.seconds, one.start, one.end] for one in done.result.views],
    )
    told = f"counted {done.read_back.counted} entities online, " if done.read_back.counts else ""
    console.say(f"{told}read back {done.read_back.checked}: online equals offline")
    for name, count in done.held_back.items():
        console.say(f"{name}: {count} unsound vectors held back; see `coldstart quarantine list`")
    for one in done.quality:
        for problem in one.problems:
            console.say(f"look at this: {problem}")

"""`coldstart skew`: were people served what a model would have learned from?"""

from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "skew"
EXAMPLES: Final = """Examples:

  coldstart aggregate && coldstart skew

  coldstart skew --since 2026-03-01 --limit 10000 --json
"""
SKEWED: Final = 3
"""Exit code where something differs."""
SHOWN: Final = 20
WIDTH: Final = 60


def run(
    since: Annotated[str | None, typer.Option(help="Only what was served since then.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the newest so many entries.")
    ] = None,
    json: console.Json = False,
) -> None:
    """Join the kept requests again point-in-time and report every difference.

    Exit code 3 where anything differs. The service keeps the sample; `serve.logged_share` in
    coldstart.toml says how much of it, 0 keeps nothing.
    """
    from feature_repo.home import Home
    from feature_repo.jobs.skew import skew

    with console.bar("skew") as progress:
        found = skew(
            home=Home.current(),
            since=console.moment(since, option="--since") if since else None,
            limit=limit,
            progress=progress,
        )
    if json:
        console.print_json(found.as_dict())
    else:
        console.say(
            f"{found.requests} served requests, {found.values} features compared: "
            f"{len(found.differences)} differ"
        )
        if found.differences:
            console.print_table(
                "Served otherwise than joined",
                ["served at", "by", "entity", "feature", "served", "joined"],
                [
                    [
                        one.served_at.isoformat(timespec="milliseconds"),
                        one.endpoint,
                        one.key,
                        f"{one.view}:{one.feature}",
                        _short(one.served),
                        _short(one.joined),
                    ]
                    for one in found.differences[:SHOWN]
                ],
            )
        if len(found.differences) > SHOWN:
            console.say(f"and {len(found.differences) - SHOWN} more; --json tells all")
    if found.differences:
        raise typer.Exit(SKEWED)


def _short(value: object) -> str:
    """The end of a long value: the newest of a history stands there."""
    told = str(value)
    return told if len(told) <= WIDTH else f"…{told[-WIDTH:]}"

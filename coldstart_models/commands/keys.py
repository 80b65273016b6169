"""`coldstart keys`: who may ask the service for what."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from coldstart_models.commands import console

NAME: Final = "keys"
EXAMPLES: Final = """Examples:

  coldstart keys new storefront --scope read --scope events

  coldstart keys new feed --scope listings --rate 5 --burst 10

  coldstart keys list

  coldstart keys revoke storefront
"""

app = typer.Typer(
    help="Make, list and revoke API keys of the service.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def keys() -> None:
    """Make, list and revoke API keys of the service."""


@app.command(epilog=EXAMPLES)
def new(
    name: Annotated[str, typer.Argument(help="Who it is for; logs tell this name.")],
    scope: Annotated[
        list[str], typer.Option(help="read, events, listings, metrics or admin; several times.")
    ],
    rate: Annotated[float | None, typer.Option(help="Requests a second it may make.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests at once, after a pause.")] = None,
    json: console.Json = False,
) -> None:
    """Make a key and print it, this once: the file keeps its SHA-256 alone.

    A service that runs takes it within a second.
    """
    from coldstart_models.api_keys import ApiKey, keys_file, read_keys, write_keys
    from feature_repo.home import Home

    path = keys_file(Home.current())
    token, key = ApiKey.made(name, scope, now=datetime.now(UTC), rate=rate, burst=burst)
    write_keys(path, [*read_keys(path), key])
    if json:
        console.print_json({"name": key.name, "scopes": sorted(key.scopes), "key": token})
        return
    typer.echo(token)
    typer.echo(
        f"{key.name} may {', '.join(sorted(key.scopes))}; the key is shown this once, {path} keeps "
        "its SHA-256. Send it as `Authorization: Bearer KEY`.",
        err=True,
    )


@app.command("list", epilog=EXAMPLES)
def list_keys(json: console.Json = False) -> None:
    """Tell which keys there are; the keys themselves are nowhere."""
    from coldstart_models.api_keys import keys_file, keys_of_environment, read_keys
    from feature_repo.home import Home

    rows = [
        (key.name, ", ".join(sorted(key.scopes)), where, key.made_at, key.rate, key.burst)
        for where, known in (
            ("file", read_keys(keys_file(Home.current()))),
            ("environment", keys_of_environment()),
        )
        for key in known
    ]
    columns = ["name", "scopes", "from", "made_at", "rate", "burst"]
    if json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    console.print_table("API keys", columns, rows)


@app.command(epilog=EXAMPLES)
def revoke(name: Annotated[str, typer.Argument(help="As `coldstart keys list` tells it.")]) -> None:
    """Take a key of the file back; a service that runs refuses it within a second."""
    from coldstart_models.api_keys import keys_file, read_keys, write_keys
    from coldstart_models.errors import ApiKeyError
    from feature_repo.home import Home

    path = keys_file(Home.current())
    known = read_keys(path)
    left = [key for key in known if key.name != name]
    if len(left) == len(known):
        names = ", ".join(key.name for key in known) or "none"
        raise ApiKeyError(f"{path} holds no key named {name!r} (there: {names})")
    write_keys(path, left)
    console.say(f"{name} is revoked; {len(left)} keys are left in {path}")

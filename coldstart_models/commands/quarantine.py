"""`coldstart quarantine`: what the gate held back; mend it and send it again."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "quarantine"
EXAMPLES: Final = """Examples:

  coldstart quarantine list

  coldstart quarantine show lamp-7

  coldstart quarantine export held.csv

  coldstart quarantine resubmit held.csv
"""

app = typer.Typer(
    help="List, show, export and resubmit what the gate held back.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Table(StrEnum):
    """Tables whose rows can be sent again."""

    ITEMS = "items"
    EVENTS = "events"


Which = Annotated[Table, typer.Option("--table", help="Of which table.")]


@app.command("list", epilog="Example:\n\n  coldstart quarantine list --json")
def list_held(json: console.Json = False) -> None:
    """Count what is held, by table, source and check."""
    from feature_repo.home import Home
    from validation import quarantine

    home = Home.current()
    held = {
        path.stem: quarantine.load(home.quarantine, path.stem)
        for path in sorted(home.quarantine.glob("*.parquet"))
    }
    rows = [
        {"table": table, **count}
        for table, frame in held.items()
        for count in frame.explode("checks")
        .value_counts(["source", "checks"])
        .reset_index()
        .to_dict("records")
    ]
    if json:
        console.print_json({"held": {n: len(frame) for n, frame in held.items()}, "checks": rows})
        return
    total = sum(map(len, held.values()))
    console.print_table(
        f"{total} rows in quarantine",
        ["table", "source", "check", "rows"],
        [list(row.values()) for row in rows],
    )


@app.command(epilog="Example:\n\n  coldstart quarantine show lamp-7 --table items")
def show(
    key: Annotated[str, typer.Argument(help="An item's or event's id, or a fingerprint's start.")],
    table: Which = Table.ITEMS,
    json: console.Json = False,
) -> None:
    """Show what a row holds and why it was held back."""
    import json as json_text

    from feature_repo.errors import JobError
    from feature_repo.home import Home
    from validation import quarantine, reasons

    held = quarantine.load(Home.current().quarantine, table)
    prints = held[quarantine.FINGERPRINT]
    found = held[(held[reasons.KEY] == key) | prints.str.startswith(key)]
    if found.empty:
        raise JobError(
            f"no row {key!r} in the quarantine of {table}; see `coldstart quarantine list`"
        )
    rows = [
        {
            "fingerprint": row["fingerprint"],
            "key": row["key"],
            "source": row["source"],
            "first_seen": row["first_seen"].isoformat(),
            "reasons": list(row["reasons"]),
            "row": json_text.loads(row["row"]),
        }
        for row in found.to_dict("records")
    ]
    if json:
        console.print_json(rows)
        return
    for row in rows:
        console.say(f"{row['key']} of {row['source']}, held since {row['first_seen'][:16]}")
        for reason in row["reasons"]:
            console.say(f"  {reason}")
        for name, value in row["row"].items():
            console.say(f"    {name}: {value}")


@app.command(epilog="Example:\n\n  coldstart quarantine export held.csv --source spring")
def export(
    file: Annotated[Path, typer.Argument(help="Ends in .csv, .jsonl or .parquet.")],
    table: Which = Table.ITEMS,
    source: Annotated[str | None, typer.Option(help="Of this source alone.")] = None,
) -> None:
    """Write held rows to a file, to be mended and resubmitted."""
    from feature_repo.home import Home
    from feature_repo.jobs.resubmit import held_rows

    rows = held_rows(Home.current(), table)
    if source is not None:
        rows = rows[rows["source"] == source]
    _write(rows, file)
    console.say(
        f"{len(rows)} rows of {table} in {file}; mend them and run "
        f"`coldstart quarantine resubmit {file} --table {table}`"
    )


@app.command(epilog="Example:\n\n  coldstart quarantine resubmit held.csv")
def resubmit(
    file: Annotated[
        Path | None, typer.Argument(help="An exported file, mended; by default all as it is.")
    ] = None,
    table: Annotated[Table | None, typer.Option(help="Of which table.")] = None,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Send held rows through the gate again; those that pass enter the catalogue."""
    from dataclasses import asdict

    from coldstart_models.config import load_config
    from feature_repo.home import Home
    from feature_repo.jobs.resubmit import resubmit as send
    from validation import gate

    chosen = table if file is None else table or Table.ITEMS
    rules = load_config(config).gate.rules()
    with console.bar("check") as progress:
        done = send(
            home=Home.current(),
            gate=gate,
            now=console.present(as_of),
            table=chosen,
            mended=_mended(file) if file is not None else None,
            rules=rules,
            progress=progress,
        )
    if json:
        console.print_json([asdict(one) for one in done])
        return
    console.print_table(
        "Resubmitted",
        ["table", "submitted", "accepted", "still held"],
        [[one.table, one.submitted, one.accepted, one.held] for one in done],
    )


def _write(rows: "pd.DataFrame", file: Path) -> None:
    """The file is there as a whole or not at all.

    Raises typer.BadParameter for an ending that is none of ours.
    """
    from validation.whole_files import replacing

    told = rows.assign(reasons=rows["reasons"].map("; ".join))
    if file.suffix not in (".csv", ".jsonl", ".ndjson", ".parquet"):
        raise typer.BadParameter(f"{file} must end in .csv, .jsonl or .parquet")
    with replacing(file) as partial:
        if file.suffix == ".csv":
            told.to_csv(partial, index=False)
        elif file.suffix == ".parquet":
            texts = told.astype(object).where(told.notna(), None)
            texts.map(lambda value: value if value is None else str(value)).to_parquet(partial)
        else:
            told.to_json(partial, orient="records", lines=True, force_ascii=False)


def _mended(file: Path) -> "pd.DataFrame":
    """The rows as raw values. Raises SourceError where the file cannot be read."""
    from feature_repo.catalogs.files import read_table

    return read_table(file)

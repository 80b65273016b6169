"""`coldstart ingest`: read a source, gate it, put what is accepted into the catalogue."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from feature_repo.jobs.ingest import IngestResult, TableCounts

NAME: Final = "ingest"
EXAMPLES: Final = """Examples:

  coldstart ingest marketplace

  coldstart ingest table:my_shop --as-of 2026-11-01

  coldstart ingest complete-journey --replace --json
"""


TREND: Final = 20
"""Runs that the report shows, this one among them."""


class FailOn(StrEnum):
    """When held-back rows make the exit code 1."""

    NEVER = "never"
    QUARANTINE = "quarantine"
    WARN = "warn"


def run(
    source: Annotated[
        str,
        typer.Argument(
            help="marketplace[:small], complete-journey, table:DIR, amazon-reviews:DIR or hm:DIR."
        ),
    ],
    mapping: Annotated[
        Path | None, typer.Option(help="A mapping.toml for table:DIR, if not in DIR.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put before every item and event id.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Start over.")] = False,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 where rows were quarantined, or warned about.")
    ] = FailOn.NEVER,
    seed: Annotated[int, typer.Option(min=0, help="Of a generated source.")] = 0,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Read a source, check every row, keep the good ones and quarantine the rest."""
    from coldstart_models.config import load_config
    from feature_repo.catalogs.registry import open_source
    from feature_repo.home import Home
    from feature_repo.jobs.ingest import ingest
    from validation import data_docs, gate, history, report

    home, now, rules = Home.current(), console.present(as_of), load_config(config).gate.rules()
    with console.bar("read") as progress:
        data = open_source(
            source,
            photos=home.photos,
            seed=seed,
            as_of=now,
            mapping=mapping,
            prefix=prefix,
            progress=progress,
        )
    with console.bar("check") as progress:
        result = ingest(
            data,
            home=home,
            gate=gate,
            now=now,
            spec=source,
            prefix=prefix,
            replace=replace,
            rules=rules,
            progress=progress,
        )
    page = report.write(
        result.summaries,
        home.gate_results / f"{data.name}.html",
        title=f"Data quality of {data.name}",
        now=now,
        known_items=result.known_items,
        runs=history.runs(home.gate_results, source=data.name, last=TREND),
    )
    docs = data_docs.build(result.summaries, home.gate_results / "data_docs")
    if json:
        console.print_json({**result.as_dict(), "report": str(page), "data_docs": str(docs)})
    else:
        _tell(result, page, docs)
    raise typer.Exit(_exit_code(result, fail_on))


def _tell(result: "IngestResult", page: Path, docs: Path) -> None:
    made_up = " (generated data)" if result.source.generated else ""
    counts = {"items": result.items, "events": result.events}
    console.print_table(
        f"Ingested {result.source.name}{made_up}",
        ["table", "received", "accepted", "quarantined", "inserted", "updated", "unchanged"],
        [_row(name, count) for name, count in counts.items()],
    )
    for check in result.checks:
        held = check.quarantined.head(3)
        for key, reasons in zip(held["key"], held["reasons"], strict=True):
            console.say(f"quarantined {check.table} {key}: {'; '.join(reasons)}")
    reasons = [(name, *pair) for name, count in counts.items() for pair in count.reasons.items()]
    if reasons:
        console.print_table("Why rows were quarantined", ["table", "check", "rows"], reasons)
    console.say(f"report: {page}\nData Docs: {docs}")


def _row(name: str, count: "TableCounts") -> list[object]:
    return [
        name,
        count.received,
        count.accepted,
        count.quarantined,
        count.inserted,
        count.updated,
        count.unchanged,
    ]


def _exit_code(result: "IngestResult", fail_on: FailOn) -> int:
    tables = (result.items, result.events)
    held = any(table.quarantined for table in tables)
    warned = held or any(table.warnings for table in tables)
    failed = {FailOn.NEVER: False, FailOn.QUARANTINE: held, FailOn.WARN: warned}
    return int(failed[fail_on])

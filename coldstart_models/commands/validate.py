"""`coldstart validate`: the gate alone, on a file or a source; nothing is kept or changed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from feature_repo.catalogs.source import SourceParts
    from feature_repo.home import Home
    from validation.summary import Summary

NAME: Final = "validate"
HISTORY: Final = "history"
CHECKS: Final = "checks"
BLOCKED: Final = 3
EXAMPLES: Final = """Examples:

  coldstart validate new_items.csv --report quality.html

  coldstart validate table:my_shop --fail-on warn --junit gate.xml

  coldstart validate new_items.jsonl --alone --json

  coldstart validate history

  coldstart validate checks --export gx/expectations

Exit codes: 0 where no row is blocked, 3 where one is (or is warned of, with --fail-on warn), 2
where the file cannot be read at all.
"""


class FailOn(StrEnum):
    """Which findings make the exit code 3."""

    BLOCK = "block"
    WARN = "warn"


def run(
    what: Annotated[
        str,
        typer.Argument(
            help="A file of listings, a source as `ingest` takes it, `history` or `checks`."
        ),
    ],
    fail_on: Annotated[FailOn, typer.Option(help="What makes the exit code 3.")] = FailOn.BLOCK,
    alone: Annotated[
        bool, typer.Option("--alone", help="Do not compare with the accepted catalogue.")
    ] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="A mapping.toml for table:DIR, if not in DIR.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here, for CI.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="`checks`: write our suites into this folder as GX JSON.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="Runs that `history` and the report show.")] = 20,
    config: console.ConfigFile = None,
    as_of: console.AsOf = None,
    json: console.Json = False,
) -> None:
    """Check listings, with or without events, and say what to mend."""
    from coldstart_models.config import load_config
    from feature_repo.catalogs.registry import open_parts
    from feature_repo.catalogs.source import SourceColumnError
    from feature_repo.home import Home
    from feature_repo.jobs.catalogue import accepted_rows
    from feature_repo.jobs.check import check
    from feature_repo.jobs.fingerprints import known_fingerprints
    from validation import history, tables
    from validation import junit as junit_xml
    from validation import report as page
    from validation.errors import MissingColumnError
    from validation.gate import CHUNK

    home, now = Home.current(), console.present(as_of)
    if what == HISTORY and not Path(what).exists():
        _tell_history(home, last=last, as_json=json)
        return
    if what == CHECKS and not Path(what).exists():
        _tell_checks(now, export, as_json=json)
        return
    rules = load_config(config).gate.rules()
    known = None if alone else accepted_rows(tables.ITEMS, home.items)
    try:
        with console.bar("read and check") as progress:
            data = open_parts(
                what,
                rows=CHUNK if rules.row_by_row else None,
                photos=home.photos,
                as_of=now,
                mapping=mapping,
                progress=progress,
            )
            results = check(
                data,
                known_items=known,
                known_photos=None if alone else known_fingerprints(home),
                now=now,
                rules=rules,
                progress=progress,
            )
    except (SourceColumnError, MissingColumnError) as error:
        _tell_blocked(str(error), as_json=json)
        raise typer.Exit(BLOCKED) from None
    if home.root.exists():
        history.record(results, folder=home.gate_results, source=data.name, step=NAME)
    if report is not None:
        page.write(
            results,
            report,
            title=f"Data quality of {data.name}",
            now=now,
            known_items=known,
            runs=history.runs(home.gate_results, source=data.name, last=last),
        )
    if junit is not None:
        junit_xml.write(results, junit, warnings_fail=fail_on is FailOn.WARN)
    if json:
        console.print_json(_as_json(data, results))
    else:
        _tell(data, results)
    raise typer.Exit(_exit_code(results, fail_on))


def _as_json(data: "SourceParts", results: "list[Summary]") -> dict[str, object]:
    return {
        "source": data.name,
        "tables": [{**result.as_dict(), "rows": _rows(result)} for result in results],
    }


def _rows(result: "Summary") -> "Iterator[dict[str, object]]":
    """All rows with something to mend."""
    names = ("key", "row_number", "severity", "checks", "reasons")
    for frame in result.told:
        for row in zip(*(frame[name].tolist() for name in names), strict=True):
            yield dict(zip(names, row, strict=True))


def _tell(data: "SourceParts", results: "list[Summary]") -> None:
    from validation.checks import Severity

    console.print_table(
        f"Checked {data.name}" + (" (generated data)" if data.generated else ""),
        ["table", "verdict", "received", "would pass", "would be blocked", "warned of"],
        [
            [
                result.table,
                result.verdict,
                result.received,
                result.accepted,
                result.quarantined,
                result.warnings,
            ]
            for result in results
        ],
    )
    failed = [
        [result.table, name, result.severities[name], rows]
        for result in results
        for name, rows in result.reason_counts.items()
    ]
    if failed:
        console.print_table(
            "Checks that rows failed", ["table", "check", "severity", "rows"], failed
        )
    for result in results:
        for note in result.notes:
            console.say(note)
        blocked = result.shown[Severity.BLOCK].head(10)
        for key, told in zip(blocked["key"], blocked["reasons"], strict=True):
            console.say(f"{result.table} {key}: {'; '.join(told)}")


def _tell_blocked(message: str, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"verdict": "blocked", "error": message, "tables": []})
    else:
        console.say(f"every row is blocked: {message}")


def _tell_history(home: "Home", *, last: int, as_json: bool) -> None:
    from dataclasses import asdict

    from validation import history

    runs = history.runs(home.gate_results, last=last)
    if as_json:
        console.print_json([asdict(run) for run in runs])
        return
    console.print_table(
        "Runs of the gate",
        [
            "when",
            "step",
            "source",
            "table",
            "verdict",
            "received",
            "blocked",
            "warned",
            "most often",
        ],
        [
            [
                run.checked_at[:16],
                run.step,
                run.source,
                run.table,
                run.verdict,
                run.received,
                run.quarantined,
                run.warnings,
                next(iter(run.reason_counts), "-"),
            ]
            for run in runs
        ],
    )


def _tell_checks(now: "datetime", export: Path | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from validation import suites
    from validation.rules import save_suite

    if export is not None:
        for name, suite in suites.every_suite(now=now).items():
            save_suite(suite, export / f"{name}.json")
    checks = suites.every_check(now=now)
    if as_json:
        console.print_json({name: list(map(asdict, found)) for name, found in checks.items()})
        return
    for name, found in checks.items():
        console.print_table(
            f"Checks of {name}",
            ["check", "severity", "what is told"],
            [[one.name, str(one.severity), one.sentence] for one in found],
        )


def _exit_code(results: "list[Summary]", fail_on: FailOn) -> int:
    held = any(result.quarantined for result in results)
    warned = any(result.warnings for result in results)
    return BLOCKED if held or (warned and fail_on is FailOn.WARN) else 0

"""How the commands talk: tables and bars for people, JSON for programs."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from coldstart_models.progress import Progress

ConfigFile = Annotated[Path | None, typer.Option("--config", help="A coldstart.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
AsOf = Annotated[
    str | None,
    typer.Option(help="The present, as YYYY-MM-DD or ISO 8601 (UTC); today by default."),
]

Device = Annotated[
    str | None,
    typer.Option(help="Of the gradient steps: cpu, cuda, cuda:1, or auto (a GPU, if any)."),
]
Processes = Annotated[
    int | None, typer.Option(min=1, help="That share every step's users, a device each.")
]
MostEvents = Annotated[
    int | None,
    typer.Option(min=1, help="Choices to learn from, about; of a longer log people are drawn."),
]


def present(as_of: str | None = None) -> datetime:
    """The moment a command works at. Raises typer.BadParameter for what is not a date."""
    if as_of is None:
        return datetime.now(UTC).replace(microsecond=0)
    return moment(as_of, option="--as-of")


def known_until(as_of: str | None) -> datetime | None:
    """The moment after which a command reads nothing; None where no present is named: an event that
    a clock dates a little ahead is read then."""
    return None if as_of is None else present(as_of)


def moment(value: str, *, option: str) -> datetime:
    """An ISO 8601 date or time, in UTC where it names no zone."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(
            f"{option} is {value!r}, expected a date such as 2010-07-01"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def print_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document; a number that is none (JSON has no NaN) is null."""
    told = _known(values)
    json.dump(told, sys.stdout, indent=2, ensure_ascii=False, default=_plain, allow_nan=False)
    sys.stdout.write("\n")


def _known(value: object) -> object:
    """The value with None where numbers are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(one) for one in value]
    return value


def _plain(value: object) -> object:
    """What JSON has no name for: an iterator is a list, all else text."""
    return [_known(one) for one in value] if isinstance(value, Iterator) else str(value)


def say(text: str) -> None:
    """Print a line for a person."""
    from rich.console import Console

    Console(highlight=False).print(text, markup=False, soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, name in enumerate(columns):
        numeric = all(isinstance(row[position], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console().print(table)


@contextmanager
def bar(title: str, *, rate: str | None = None) -> Iterator[Progress]:
    """A progress bar on standard error; yields the function to tell it (done, total or 0).

    Args:
        rate: what is done in a second is called so; not shown where it has no name.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Done in a second, over the last moments."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} {rate}")

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([Rate()] if rate else []),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as drawn:
        task = drawn.add_task(title, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total or None)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a step's name and how long it took, on standard error."""
    from rich.console import Console

    began = time.perf_counter()
    yield
    console = Console(stderr=True, highlight=False)
    console.print(f"{title}: {time.perf_counter() - began:.1f} s", style="dim")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)

"""What a million listings and a hundred million events cost: ``make bench-costs``.

Nothing is measured here. It reads the tables that the other benchmarks have put into
`docs/benchmarks.md` and `docs/scale.md`, multiplies, and says with each figure which command
measured what it is made of. Processor time of the aggregation grows a little faster than the log:
the exponent between its two sizes is kept on the way up.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import results, tables

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
TABLES_IN: Final = ("benchmarks", "scale")
LISTINGS_UNIT: Final = "listings"
EVENTS_UNIT: Final = "events"
MILLION: Final = 1_000_000
LISTINGS: Final = 100 * MILLION
EVENTS: Final = 100 * MILLION
NEW_SHARE: Final = 0.01
"""Listings of a day among all."""
PHOTO_WIDTH: Final = 1_280
TEXT_WIDTH: Final = 384
FLOAT: Final = 4
"""Bytes."""
MIB: Final = 2**20

Table = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Published:
    """The tables of a Markdown file, by the name between their marks."""

    text: str

    def rows(self, name: str) -> Table:
        return tables.rows_of(tables.standing(self.text, name=name))

    def value(self, name: str, column: str, **where: str) -> float:
        """A cell of the one row with these values."""
        found = [
            row for row in self.rows(name) if all(row[key] == one for key, one in where.items())
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} rows of the table {name!r} have {where}; expected one")
        return number(found[0][column])

    def line(self, name: str, fact: str) -> str:
        """What a line below a table says of a fact."""
        marked = tables.standing(self.text, name=name)
        found = re.search(rf"^- {re.escape(fact)}: (.*)$", marked, re.MULTILINE)
        if found is None:
            raise LookupError(f"the table {name!r} has no line {fact!r}")
        return found[1]

    def fact(self, name: str, fact: str) -> list[float]:
        """The numbers of a line below a table."""
        return [number(one) for one in re.findall(r"\d[\d,]*\.?\d*", self.line(name, fact))]


def main() -> None:
    """Multiply and publish."""
    published = Published("".join((DOCS / f"{name}.md").read_text() for name in TABLES_IN))
    results.publish(
        "costs",
        title="What scale costs",
        rows=[*of_listings(published), *of_events(published)],
        aggregation_exponent=round(growth(published), 3),
    )


def of_listings(published: Published) -> list[Mapping[str, str]]:
    """Of a million listings, and of a hundred."""
    photos = published.value("extraction", "photos/s", what="extract job, photos to Parquet")
    job, daily = (
        published.value("extraction_memory", column, listings="1,000,000")
        for column in ("seconds", "seconds, 1 % more")
    )
    sqlite, redis = (
        published.value("materialize", "rows/s", what=f"{store}, ours")
        for store in ("SQLite", "Redis")
    )
    snapshot = snapshot_seconds(published)
    raw = FLOAT * (PHOTO_WIDTH + TEXT_WIDTH) * MILLION
    memory = serving_memory(published, MILLION)
    served, sketch = (MIB * memory[name] for name in ("mapped_vectors_mib", "sketch_mib"))
    seconds = [
        ("photos through the encoder, 2 cores", "extraction", MILLION / photos),
        ("hashing, gate, parts and merges of both tables", "extraction_memory", job),
        (
            "a day's new listings (1 %): encoder, hashing, merge",
            "extraction, extraction_memory",
            NEW_SHARE * MILLION / photos + daily,
        ),
        ("vectors of 1,664 floats into SQLite", "materialize", MILLION / sqlite),
        ("vectors of 1,664 floats into Redis", "materialize", MILLION / redis),
        ("vectors of 128 floats into a snapshot", "materialize", snapshot["snapshot written"]),
    ]
    sizes = [
        (f"raw embeddings: ({PHOTO_WIDTH:,} + {TEXT_WIDTH}) floats of 4 bytes", "arithmetic", raw),
        ("served vectors, mapped from the snapshot", "serving", served),
        ("their sketch, a byte a number, in memory", "serving", sketch),
    ]
    times = LISTINGS // MILLION
    return [
        *(
            _row(what, command, time_of(one), time_of(one * times))
            for what, command, one in seconds
        ),
        *(
            _row(what, command, bytes_of(one), bytes_of(one * times))
            for what, command, one in sizes
        ),
    ]


def serving_memory(published: Published, listings: int) -> dict[str, int]:
    """What takes how many MiB where so many listings are served, by the benchmark's names."""
    parts = re.split(r"\b(\d+) listings ", published.line("serving", "retrieval"))[1:]
    told = dict(zip(parts[::2], parts[1::2], strict=True)).get(str(listings))
    if told is None:
        raise LookupError(f"the table 'serving' tells nothing of {listings:,} listings")
    return {name: int(number(size)) for name, size in re.findall(r"\b(\w+_mib) ([\d,]+)", told)}


def of_events(published: Published) -> list[Mapping[str, str]]:
    """Of a million events, and of a hundred."""
    times = EVENTS // MILLION
    work = published.fact("aggregation", "cpu_seconds")[-1]
    index, log, indexed = (
        published.fact("streaming", name)[0]
        for name in ("index_seconds", "log_bytes", "index_bytes")
    )
    batch = published.value("streaming", "p50 ms", what="take in and read online", batch="100")
    taken = MILLION / 100 * batch / 1000
    return [
        _row(
            "aggregate, processor time",
            "aggregation",
            time_of(work),
            time_of(work * times ** growth(published)),
            unit=EVENTS_UNIT,
        ),
        _row(
            "index of the log",
            "streaming",
            time_of(index),
            time_of(index * times),
            unit=EVENTS_UNIT,
        ),
        _row("log on disk", "streaming", bytes_of(log), bytes_of(log * times), unit=EVENTS_UNIT),
        _row(
            "index on disk",
            "streaming",
            bytes_of(indexed),
            bytes_of(indexed * times),
            unit=EVENTS_UNIT,
        ),
        _row(
            "taken in by one consumer, batches of 100",
            "streaming",
            time_of(taken),
            time_of(taken * times),
            unit=EVENTS_UNIT,
        ),
    ]


def growth(published: Published) -> float:
    """Exponent of the aggregation's processor time between its two sizes."""
    (few, many), (less, more) = (
        sorted({number(row["events"]) for row in published.rows("aggregation")}),
        published.fact("aggregation", "cpu_seconds"),
    )
    return math.log(more / less) / math.log(many / few)


def snapshot_seconds(published: Published) -> dict[str, float]:
    """What was done with a snapshot of a million vectors → seconds."""
    line = published.line("materialize", "snapshot_seconds")
    pairs = re.findall(r"([a-zA-Z ]+?) (\d+\.\d+)(?:, |$)", line)
    return {name.strip(): float(value) for name, value in pairs}


def number(text: str) -> float:
    """As `benchmarks.tables` writes it."""
    return float(text.replace(",", ""))


def time_of(seconds: float) -> str:
    """In the largest unit of which there is more than one."""
    for length, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def bytes_of(count: float) -> str:
    """In decimal units."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def _row(
    what: str, command: str, million: str, hundred: str, *, unit: str = LISTINGS_UNIT
) -> dict[str, str]:
    return {
        "of": unit,
        "what": what,
        "measured by": ", ".join(
            name if name == "arithmetic" else f"`make bench-{name}`" for name in command.split(", ")
        ),
        "a million": million,
        "a hundred million": hundred,
    }


if __name__ == "__main__":
    main()

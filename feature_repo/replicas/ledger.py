"""What this state folder told of its listings, and how far it heard the others: one SQLite file."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

PAGE_IDS: Final = 500
"""Listings that one row online tells of."""
SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS told (
        item_id TEXT PRIMARY KEY, page INTEGER NOT NULL, number INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS told_by_page ON told (page);
    CREATE TABLE IF NOT EXISTS versions (item_id TEXT PRIMARY KEY, at INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS heard (folder TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
AT_ONCE: Final = 500
"""Parameters of a query, below SQLite's limit."""


class Ledger:
    """One open file; what is written counts when the block of `opened` ends without an error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["Ledger"]:
        """The ledger of a state folder, made where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.executescript(SCHEMA)
            with connection:
                yield cls(connection)

    def keep(self) -> None:
        """Let what was written so far count."""
        self._connection.commit()

    def fact(self, name: str) -> str | None:
        """Something that is known once, by name."""
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else str(row[0])

    def set_fact(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def versions(self, item_ids: Collection[str]) -> dict[str, int]:
        """When what the catalogue says of each was settled, µs since 1970; 0 where nobody knows."""
        found = dict.fromkeys(item_ids, 0)
        for some in _parts(sorted(found)):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT item_id, at FROM versions WHERE item_id IN ({marks})"
            found.update(self._connection.execute(sql, some).fetchall())
        return found

    def set_versions(self, versions: Mapping[str, int]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO versions VALUES (?, ?)", list(versions.items())
        )

    def known(self) -> list[str]:
        """Every listing with a version, ascending."""
        rows = self._connection.execute("SELECT item_id FROM versions ORDER BY item_id")
        return [str(row[0]) for row in rows]

    def tell(self, item_ids: Collection[str]) -> set[int]:
        """Give the listings the next number, and new ones a page; the pages that hold them."""
        number = self.number + 1
        filled = self._one("SELECT count(*) FROM told")
        count = int(filled[0]) if filled else 0
        for item_id in sorted(item_ids):
            known = self._one("SELECT page FROM told WHERE item_id = ?", item_id)
            page = int(known[0]) if known else count // PAGE_IDS
            count += known is None
            self._connection.execute(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?)", (item_id, page, number)
            )
        touched = self._connection.execute("SELECT page FROM told WHERE number = ?", (number,))
        return {int(row[0]) for row in touched}

    @property
    def number(self) -> int:
        """Of the last change that was told."""
        row = self._one("SELECT max(number) FROM told")
        return int(row[0] or 0) if row else 0

    def page(self, page: int) -> dict[str, int]:
        """Listing → number of its last change."""
        sql = "SELECT item_id, number FROM told WHERE page = ? ORDER BY item_id"
        return dict(self._connection.execute(sql, (page,)).fetchall())

    def pages(self) -> list[int]:
        """The number of the last change of each page, in order."""
        sql = "SELECT max(number) FROM told GROUP BY page ORDER BY page"
        return [int(row[0]) for row in self._connection.execute(sql)]

    def heard(self) -> dict[str, int]:
        """Other folder → number up to which it was heard."""
        return dict(self._connection.execute("SELECT folder, number FROM heard").fetchall())

    def set_heard(self, folder: str, number: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO heard VALUES (?, ?)", (folder, number))

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row


def _parts(ids: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(ids), AT_ONCE):
        yield ids[first : first + AT_ONCE]

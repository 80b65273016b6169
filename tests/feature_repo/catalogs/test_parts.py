import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from feature_repo.catalogs.files import read_table, table_parts
from feature_repo.catalogs.registry import open_parts
from feature_repo.catalogs.source import SourceError

ROWS = [
    {"item_id": f"{number:03}", "title": f"Lamp {number}", "price": str(number)}
    for number in range(11)
]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def csv_text(*, uneven: bool = False) -> str:
    lines = ["item_id,title,price", *(",".join(row.values()) for row in ROWS)]
    if uneven:
        lines[4] += ",too,much"
        lines[6] = '005,"Lamp over\ntwo lines",5'
        lines[9] = '008,"never closed,8'
    return "\n".join(lines) + "\n"


def write_csv(path: Path) -> None:
    path.write_text(csv_text(), encoding="utf-8")


def write_uneven(path: Path) -> None:
    path.write_text(csv_text(uneven=True), encoding="utf-8")


def write_gzip(path: Path) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(csv_text())


def write_parquet(path: Path) -> None:
    pd.DataFrame(ROWS).to_parquet(path)


def write_lines(path: Path) -> None:
    rows = [*ROWS[:9], {"item_id": "late", "colour": "red"}]
    path.write_text("\n".join([*map(json.dumps, rows), "{broken"]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("rows", [1, 4, 11, 50])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("items.csv", write_csv),
        ("uneven.csv", write_uneven),
        ("items.csv.gz", write_gzip),
        ("items.parquet", write_parquet),
        ("items.jsonl", write_lines),
    ],
)
def test_a_file_read_in_parts_is_the_file(
    name: str, write: Callable[[Path], None], rows: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path)
    parts = list(table_parts(path, rows=rows))
    assert all(0 < len(part) <= rows for part in parts)
    assert {tuple(part.columns) for part in parts} == {tuple(parts[0].columns)}
    whole = read_table(path)
    again = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(
        again.astype(object).where(again.notna(), None),
        whole.astype(object).where(whole.notna(), None),
    )


def test_what_cannot_be_read_says_so_in_parts_too(tmp_path: Path) -> None:
    empty = tmp_path / "items.csv"
    empty.write_text("item_id,title\n", encoding="utf-8")
    with pytest.raises(SourceError, match="holds no rows"):
        list(table_parts(empty, rows=5))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("item_id,title\n1,Soldeb\xe4r\n".encode("latin-1"))
    with pytest.raises(SourceError, match="is not utf-8"):
        list(table_parts(latin, rows=5))


def test_a_mapping_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    write_csv(path)
    with pytest.raises(SourceError, match="a mapping goes with table:DIR, not with the file"):
        open_parts(str(path), mapping=tmp_path / "m.toml", rows=2, photos=tmp_path, as_of=NOW)


def test_a_part_without_one_readable_time_does_not_stop_the_others(tmp_path: Path) -> None:
    lines = ["item_id,title,listed_at", "a,Lamp,2026-01-01", "b,Rug,2026-01-02", "c,Vase,soon"]
    (tmp_path / "items.csv").write_text("\n".join(lines), encoding="utf-8")
    source = open_parts(str(tmp_path), rows=2, photos=tmp_path, as_of=NOW)
    times = pd.concat(source.items)["listed_at"].tolist()
    assert times[0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert times[2] == "soon"


def test_a_generated_source_comes_in_one_part(tmp_path: Path) -> None:
    source = open_parts("marketplace:small", rows=100, photos=tmp_path, as_of=NOW)
    assert source.generated
    (items,) = source.items
    assert len(items) > 100
    assert source.events is not None

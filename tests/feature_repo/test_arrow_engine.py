"""What our engine writes online is what Feast's own writes, row for row and byte for byte."""

import sqlite3

import pyarrow as pa
import pytest
import yaml

from feature_repo.feature_tables import FEATURE_TABLES, write_table
from feature_repo.home import REPOSITORY, Home
from feature_repo.store import Store
from tests.feature_repo.feature_samples import awkward_rows
from validation.tables import EVENT_TIMESTAMP


@pytest.fixture
def stock_environment(tmp_path):
    """The embedded default without our engine."""
    environment = yaml.safe_load((REPOSITORY / "feature_store.yaml").read_text(encoding="utf-8"))
    del environment["batch_engine"]
    path = tmp_path / "stock.yaml"
    path.write_text(yaml.safe_dump(environment), encoding="utf-8")
    return path


def fill(home):
    """Awkward rows, of which three have a newer one that stands before them in the file."""
    for name, table in FEATURE_TABLES.items():
        rows = awkward_rows(table)
        index = table.schema.names.index(EVENT_TIMESTAMP)
        moments = rows[EVENT_TIMESTAMP].combine_chunks().slice(6, 3)
        newer = awkward_rows(table, seed=1).slice(2, 3)
        newer = newer.set_column(index, table.schema.field(index), moments)
        write_table(pa.concat_tables([newer, rows]), home.feature_table(name))


def online(home):
    """Every table's rows as they lie in SQLite."""
    with sqlite3.connect(home.online_store) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=lambda row: row[:2])
            for (name,) in tables.fetchall()
        }


def test_sqlite_holds_the_same_rows_by_either_engine(tmp_path, monkeypatch, stock_environment):
    ours, stock = Home(tmp_path / "ours"), Home(tmp_path / "stock")
    for home in (ours, stock):
        fill(home)
    store = Store(ours)
    store.apply()
    done = store.materialize()
    assert {view.rows for view in done.views} == {12}
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(stock_environment))
    store = Store(stock)
    store.apply()
    store.materialize()
    written = online(ours)
    assert written == online(stock)
    assert {len(rows) // 12 for rows in written.values()} == {
        len(table.features) for table in FEATURE_TABLES.values()
    }


def test_an_error_while_rows_are_read_reaches_the_caller(tmp_path):
    home = Home(tmp_path)
    store = Store(home)
    store.apply()
    fill(home)
    path = home.feature_table("item_stats")
    path.write_bytes(path.read_bytes()[:-200] + b"0" * 200)
    with pytest.raises(Exception, match=r"(?i)parquet|magic"):
        store.materialize(views=["item_stats"])


def test_a_bounded_materialization_writes_what_was_newest_then(tmp_path):
    home = Home(tmp_path)
    fill(home)
    store = Store(home)
    store.apply()
    rows = awkward_rows(FEATURE_TABLES["item_stats"]).to_pylist()
    store.materialize(end=rows[3]["event_timestamp"], views=["item_stats"])
    ids = [{"item_id": row["item_id"]} for row in rows[:5]]
    read = store.online(["item_stats:click_count"], ids)
    assert [row["item_stats__click_count"] for row in read] == [
        row["click_count"] for row in rows[:4]
    ] + [None]

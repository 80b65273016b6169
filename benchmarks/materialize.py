"""Vectors brought online against Feast's own path and the stores themselves, and read for serving.

``make bench-materialize``: 20,000 vectors of 1,664 floats go from Parquet into SQLite, and into
Redis where ``redis-server`` is installed, by `FeatureStore.materialize` with Feast's own engine
and with ours, in turns; the floor is the same bytes written straight into the same layout. Then
1,000,000 vectors of 128 floats are read as the service reads them.
"""

import argparse
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml  # type: ignore[import-untyped]
from feast import FeatureStore

from benchmarks import results
from benchmarks.servers import redis_server
from coldstart_models.commands import console
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.feature_tables import ITEM_VECTOR, parquet_format
from feature_repo.home import HOME_VARIABLE, REPOSITORY, Home
from feature_repo.local_stores import PAGE_BYTES
from feature_repo.offline_tables import append_rows, read_vectors
from feature_repo.store import Store
from feature_repo.vector_snapshot import write_snapshot
from feature_repo.wire_rows import WireRows, wire_rows

VIEW: Final = ITEM_VECTOR.name
MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)
SPAN: Final = timedelta(days=1)
CHECKED: Final = 50
"""Entities of every run that are read back by Feast and compared bit by bit."""
STOCK: Final = "Feast's own engine and store"
OURS: Final = "ours"
FLOOR: Final = "the same bytes straight in"


@dataclass(frozen=True, slots=True)
class Run:
    """What one way took once."""

    seconds: float
    cpu: float
    """Processor time of this process, all threads."""


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.materialize", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=1_664)
    parser.add_argument("--items", type=int, default=1_000_000, help="of the snapshot")
    parser.add_argument("--item-width", type=int, default=128, help="of the snapshot's vectors")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        table = Path(folder) / "vectors.parquet"
        write_vectors(table, rows=options.rows, width=options.width)
        measured = {"SQLite": sqlite_runs(table, Path(folder), repeats=options.repeats)}
        with redis_server() as address:
            if address is None:
                console.say("redis-server is not installed: Redis is left out")
            else:
                measured["Redis"] = redis_runs(
                    table, Path(folder), address=address, repeats=options.repeats
                )
        served = serving_runs(Path(folder), items=options.items, width=options.item_width)
    rows = [
        _row(f"{store}, {way}", runs, options.rows)
        for store, ways in measured.items()
        for way, runs in ways.items()
    ]
    ratios = {
        f"{store}: {told}": _faster(ways[above], ways[below])
        for store, ways in measured.items()
        for told, above, below in (
            ("times as fast as Feast's own", OURS, STOCK),
            ("of the floor's speed", OURS, FLOOR),
        )
    }
    results.publish(
        "materialize",
        title=f"{options.rows} vectors of {options.width} floats brought online",
        rows=rows,
        ratios=ratios,
        snapshot=f"{options.items} vectors of {options.item_width} floats",
        snapshot_seconds=served,
        repeats=options.repeats,
    )


def write_vectors(path: Path, *, rows: int, width: int) -> None:
    """Random vectors as `item_vector` holds them."""
    generator = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = ITEM_VECTOR.schema
    with pq.ParquetWriter(path, schema, **parquet_format(schema)) as writer:
        for first in range(0, rows, 100_000):
            count = min(100_000, rows - first)
            floats = generator.standard_normal(count * width, dtype=np.float32)
            starts = np.arange(0, (count + 1) * width, width, dtype=np.int32)
            moments = pa.array([MOMENT] * count, ITEM_VECTOR.schema.field("event_timestamp").type)
            columns = [
                pa.array([f"item-{first + number:08d}" for number in range(count)]),
                pa.ListArray.from_arrays(pa.array(starts), pa.array(floats)),
                pa.array(["tower:benchmark"] * count),
                moments,
                moments,
            ]
            writer.write_table(pa.table(columns, schema=ITEM_VECTOR.schema))


def sqlite_runs(table: Path, folder: Path, *, repeats: int) -> dict[str, list[Run]]:
    """Every run into SQLite, by way."""
    wire = wire_rows(pq.read_table(table), table=ITEM_VECTOR)
    environments = {
        STOCK: environment(folder / "stock.yaml", batch_engine=None),
        OURS: environment(folder / "ours.yaml"),
    }
    runs: dict[str, list[Run]] = {STOCK: [], OURS: [], FLOOR: []}
    for _ in range(repeats):
        for way, path in environments.items():
            runs[way].append(materialized(table, folder / "home", yaml_path=path))
        runs[FLOOR].append(_timed(lambda: straight_into_sqlite(wire, folder / "floor.db")))
        (folder / "floor.db").unlink()
    return runs


def redis_runs(table: Path, folder: Path, *, address: str, repeats: int) -> dict[str, list[Run]]:
    """Every run into an empty Redis, by way."""
    from redis import Redis

    host, port = address.split(":")
    client = Redis(host=host, port=int(port))
    wire = wire_rows(pq.read_table(table), table=ITEM_VECTOR)
    stock = {"type": "redis", "connection_string": address}
    ours = {"type": "feature_repo.redis_store.WireRedisOnlineStore", "connection_string": address}
    environments = {
        STOCK: environment(folder / "stock-redis.yaml", batch_engine=None, online_store=stock),
        OURS: environment(folder / "ours-redis.yaml", online_store=ours),
    }
    runs: dict[str, list[Run]] = {STOCK: [], OURS: [], FLOOR: []}
    for _ in range(repeats):
        for way, path in environments.items():
            client.flushall()
            runs[way].append(materialized(table, folder / "home", yaml_path=path))
        client.flushall()
        runs[FLOOR].append(_timed(lambda: straight_into_redis(wire, client)))
    return runs


def environment(path: Path, **changes: Any) -> Path:
    """The embedded default with sections put in, or left out where None."""
    values = yaml.safe_load((REPOSITORY / "feature_store.yaml").read_text(encoding="utf-8"))
    values.update(changes)
    kept = {name: section for name, section in values.items() if section is not None}
    path.write_text(yaml.safe_dump(kept), encoding="utf-8")
    return path


def materialized(table: Path, root: Path, *, yaml_path: Path) -> Run:
    """`FeatureStore.materialize` of the view on a fresh state folder; what it wrote is checked."""
    shutil.rmtree(root, ignore_errors=True)
    home = Home(root)
    home.features.mkdir(parents=True)
    home.feature_table(VIEW).symlink_to(table)
    os.environ[ENVIRONMENT_VARIABLE], os.environ[HOME_VARIABLE] = str(yaml_path), str(root)
    store = Store(home)
    store.apply()
    feast = FeatureStore(fs_yaml_file=yaml_path)
    taken = _timed(lambda: feast.materialize(MOMENT - SPAN, MOMENT + SPAN, feature_views=[VIEW]))
    proof = store.read_back(views=[VIEW], sample=CHECKED)
    if not proof.agrees or proof.checked != CHECKED:
        raise RuntimeError(f"online is not offline: {proof}")
    return taken


def straight_into_sqlite(wire: WireRows, path: Path) -> None:
    """The rows into a table of Feast's layout, ready made, in transactions of 2,000 entities."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute(
        "CREATE TABLE t (entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, "
        "vector_value BLOB, event_ts timestamp, created_ts timestamp, "
        "PRIMARY KEY (entity_key, feature_name))"
    )
    connection.execute("CREATE INDEX t_ek ON t (entity_key)")
    moments, per_entity = [int(MOMENT.timestamp())] * len(wire), len(wire.values)
    ready = list(wire.by_feature(moments, moments))
    for first in range(0, len(ready), 2_000 * per_entity):
        with connection:
            connection.executemany(
                "INSERT INTO t (entity_key, feature_name, value, value_text, event_ts, created_ts) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                ready[first : first + 2_000 * per_entity],
            )
    connection.close()


def straight_into_redis(wire: WireRows, client: Any) -> None:
    """A hash an entity, ready made, 500 commands at once."""
    names, columns = list(wire.values), list(wire.values.values())
    for first in range(0, len(wire), 500):
        pipe = client.pipeline(transaction=False)
        for number in range(first, min(first + 500, len(wire))):
            written = [
                one
                for name, values in zip(names, columns, strict=True)
                for one in (name, values[number])
            ]
            pipe.execute_command("HSET", wire.keys[number], "_ts", b"12345678", *written)
        pipe.execute()


def serving_runs(folder: Path, *, items: int, width: int) -> dict[str, float]:
    """Seconds to write, open and read what a service holds in memory."""
    home = Home(folder / "serving")
    write_vectors(home.feature_table(VIEW), rows=items, width=width)
    from_table = results.seconds(lambda: _total(home))
    written = results.seconds(lambda: write_snapshot(home, VIEW))
    opened = results.seconds(lambda: read_vectors(home, VIEW))
    read = results.seconds(lambda: _total(home))
    write_vectors(folder / "pushed.parquet", rows=1_000, width=width)
    pushed = pq.read_table(folder / "pushed.parquet")
    pushed_seconds = results.seconds(lambda: append_rows(pushed, home=home, view=VIEW))
    patched = results.seconds(lambda: _total(home))
    return {
        "read from Parquet": round(from_table, 2),
        "snapshot written": round(written, 2),
        "snapshot opened": round(opened, 2),
        "snapshot opened and every float read": round(read, 2),
        "1000 rows pushed (the Parquet file is written anew)": round(pushed_seconds, 2),
        "patched snapshot opened and every float read": round(patched, 2),
    }


def _total(home: Home) -> float:
    """Every float is touched."""
    return float(read_vectors(home, VIEW).matrix.sum())


def _timed(work: Callable[[], object]) -> Run:
    began = time.process_time()
    taken = results.seconds(work)
    return Run(taken, time.process_time() - began)


def _row(what: str, runs: list[Run], rows: int) -> dict[str, str | float]:
    seconds = median(run.seconds for run in runs)
    return {
        "what": what,
        "seconds": round(seconds, 3),
        "CPU seconds": round(median(run.cpu for run in runs), 3),
        "rows/s": round(rows / seconds),
    }


def _faster(above: list[Run], below: list[Run]) -> str:
    """By wall clock and by processor time, which other programs on the machine disturb less."""
    wall = median(run.seconds for run in below) / median(run.seconds for run in above)
    cpu = median(run.cpu for run in below) / median(run.cpu for run in above)
    return f"{wall:.2f} by the clock, {cpu:.2f} in processor time"


if __name__ == "__main__":
    main()

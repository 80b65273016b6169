import threading
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import (
    EMBEDDING,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_VECTOR,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs import feature_gate
from feature_repo.jobs.extract import extract
from feature_repo.jobs.feature_gate import hold_back_unsound
from feature_repo.offline_tables import append_rows, read_rows, to_rows
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items
from validation import quarantine

VIEW = ITEM_IMAGE_EMBEDDING.name
VECTORS = ITEM_VECTOR.name


def extracted(home: Home) -> None:
    path = str(photo(home.photos / "a.png", "red"))
    write_items(home, *({"item_id": name, "image_path": path} for name in ("a", "b", "c")))
    extract(home=home, now=NOW, image_encoder=CountingEncoder(Modality.IMAGE), text_encoder=None)


def spoil(home: Home, vectors: dict[str, list[float]]) -> None:
    """Write other vectors into the feature table, as no job of ours would."""
    path = home.feature_table(VIEW)
    rows = pq.read_table(path).to_pandas()
    for item_id, vector in vectors.items():
        row = rows.index[rows["item_id"] == item_id][0]
        rows.at[row, EMBEDDING] = np.array(vector, dtype=np.float32)
    write_table(
        pa.Table.from_pandas(rows, schema=ITEM_IMAGE_EMBEDDING.schema, preserve_index=False), path
    )


def keys(home: Home) -> list[str]:
    return sorted(pq.read_table(home.feature_table(VIEW))["item_id"].to_pylist())


def test_sound_vectors_stay_and_nothing_is_held(tmp_path: Path) -> None:
    home = Home(tmp_path)
    extracted(home)
    before = home.feature_table(VIEW).stat().st_mtime_ns
    assert hold_back_unsound(home, now=NOW) == {}
    assert home.feature_table(VIEW).stat().st_mtime_ns == before


def test_unsound_vectors_go_to_quarantine_and_come_back_once_mended(tmp_path: Path) -> None:
    home = Home(tmp_path)
    extracted(home)
    width = CountingEncoder(Modality.IMAGE).width
    spoil(home, {"b": [float("nan")] * width, "c": [1.0] * (width - 1)})
    assert hold_back_unsound(home, now=NOW) == {VIEW: 2}
    assert keys(home) == ["a"]
    held = quarantine.load(home.quarantine, VIEW)
    assert sorted(held["key"]) == ["b", "c"]
    assert any("NaN or infinity" in reason for why in held["reasons"] for reason in why)
    extracted(home)
    assert hold_back_unsound(home, now=NOW) == {}
    assert keys(home) == ["a", "b", "c"]
    assert quarantine.load(home.quarantine, VIEW).empty


def pushed(*vectors: tuple[str, float, datetime]) -> pa.Table:
    """Rows of item vectors, of an item, its first number and a time."""
    rows = pd.DataFrame(vectors, columns=["item_id", "first", "event_timestamp"])
    arrays = [np.array([first, 1.0], np.float32) for first in rows.pop("first")]
    return to_rows(rows.assign(vector=arrays, model="m"), view=VECTORS, now=NOW)


def test_an_earlier_sound_vector_of_an_item_stays(tmp_path: Path) -> None:
    home = Home(tmp_path)
    later = NOW + timedelta(days=1)
    append_rows(
        pushed(("a", 1.0, NOW), ("b", 1.0, NOW), ("b", float("nan"), later)),
        home=home,
        view=VECTORS,
    )
    assert hold_back_unsound(home, now=later) == {VECTORS: 1}
    rows = read_rows(home, VECTORS).to_pandas()
    assert list(zip(rows["item_id"], rows["event_timestamp"], strict=True)) == [
        ("a", NOW),
        ("b", NOW),
    ]


def test_what_is_pushed_while_unsound_vectors_are_taken_out_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service pushes a listing after the table was read and before it is written."""
    home = Home(tmp_path)
    append_rows(pushed(("a", 1.0, NOW), ("b", float("nan"), NOW)), home=home, view=VECTORS)
    push = partial(append_rows, pushed(("new", 1.0, NOW)), home=home, view=VECTORS)
    pushing = threading.Thread(target=push)

    def write_late(rows: pa.Table, path: Path) -> None:
        pushing.start()
        pushing.join(0.5)
        write_table(rows, path)

    monkeypatch.setattr(feature_gate, "write_table", write_late)
    assert hold_back_unsound(home, now=NOW, views=[VECTORS]) == {VECTORS: 1}
    pushing.join()
    assert sorted(read_rows(home, VECTORS)["item_id"].to_pylist()) == ["a", "new"]


def test_an_adaptation_that_adds_nothing_is_sound_and_one_that_is_broken_is_held(
    tmp_path: Path,
) -> None:
    """The table names no source, as nobody but training writes it."""
    home = Home(tmp_path)
    deltas = {
        "a": [0.5, 0.5, 0.0],
        "b": [0.0, 0.0, 0.0],
        "c": [float("nan"), 0.0, 0.0],
        "d": [0.0, 0.0],
    }
    rows = pd.DataFrame(
        {
            "item_id": list(deltas),
            "event_timestamp": NOW,
            "created_timestamp": NOW,
            "delta": [np.array(one, np.float32) for one in deltas.values()],
            "bias": np.float32(0.1),
            "support": 1,
            "model": "m",
        }
    )
    path = home.feature_table(ITEM_ADAPTATION.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pa.Table.from_pandas(rows, ITEM_ADAPTATION.schema, preserve_index=False), path)
    assert hold_back_unsound(home, now=NOW) == {ITEM_ADAPTATION.name: 2}
    assert sorted(pq.read_table(path)["item_id"].to_pylist()) == ["a", "b"]
    held = quarantine.load(home.quarantine, ITEM_ADAPTATION.name)
    assert sorted(held["key"]) == ["c", "d"]
    assert hold_back_unsound(home, now=NOW) == {}

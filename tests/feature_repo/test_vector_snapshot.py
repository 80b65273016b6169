"""Mapped vectors are those of the offline table after any pushes, or are not there."""

import json
import shutil
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo import vector_snapshot
from feature_repo.erasure.feature_rows import drop_rows
from feature_repo.errors import StoreError
from feature_repo.feature_tables import ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.offline_tables import append_rows, read_vectors, replace_rows, to_rows
from feature_repo.snapshot_state import snapshot_state
from feature_repo.vector_snapshot import (
    read_ahead,
    read_snapshot,
    write_snapshot,
)
from tests.feature_repo.samples import NOW

VIEW = "item_vector"


def rows(*given, width=3):
    """Table rows of (item, day, first value)."""
    return to_rows(
        pd.DataFrame(
            {
                "item_id": [item for item, _, _ in given],
                "vector": [np.full(width, value, np.float32) for _, _, value in given],
                "model": [f"tower:{value % 2:.0f}" for *_, value in given],
                "event_timestamp": [pd.Timestamp(NOW) + timedelta(days=day) for _, day, _ in given],
            }
        ),
        view=VIEW,
        now=NOW,
    )


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    replace_rows(rows(("b", 0, 1.0), ("a", 0, 2.0), ("a", 1, 3.0)), home=home, view=VIEW)
    return home


def from_table(home):
    """What the table alone says."""
    aside = home.root / "aside"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(home.features, Home(aside).features, symlinks=True)
    return read_vectors(Home(aside), VIEW)


def assert_same(left, right):
    assert left.item_ids.tolist() == right.item_ids.tolist()
    np.testing.assert_array_equal(left.matrix, right.matrix)
    assert left.tags.tolist() == right.tags.tolist()


def test_a_snapshot_is_mapped_holds_the_newest_in_order_of_ids_and_changes_stay_with_the_reader(
    home,
):
    state = write_snapshot(home, VIEW)
    assert (state.version, state.rows, state.width, state.name) == (1, 2, 3, "1.0")
    mapped = read_snapshot(home, VIEW)
    assert isinstance(mapped.matrix.base, np.memmap)
    assert mapped.item_ids.tolist() == ["a", "b"]
    assert mapped.matrix[:, 0].tolist() == [3.0, 1.0]
    mapped.matrix[0] = 9.0
    assert_same(read_snapshot(home, VIEW), from_table(home))


def test_pushes_patch_known_items_and_add_new_ones_and_an_older_row_changes_nothing(home):
    write_snapshot(home, VIEW)
    append_rows(rows(("b", 2, 4.0), ("aa", 0, 5.0)), home=home, view=VIEW)
    append_rows(rows(("a", 0.5, 6.0), ("aa", 0, 7.0)), home=home, view=VIEW)
    assert snapshot_state(home, VIEW).name == "1.2"
    mapped = read_snapshot(home, VIEW)
    assert dict(zip(mapped.item_ids, mapped.matrix[:, 0].tolist(), strict=True)) == {
        "a": 3.0,
        "aa": 7.0,
        "b": 4.0,
    }
    assert_same(mapped, from_table(home))
    assert write_snapshot(home, VIEW).name == "2.0"
    assert_same(read_snapshot(home, VIEW), from_table(home))


def test_a_table_written_anew_has_no_snapshot_until_the_next_and_is_read_itself(home):
    write_snapshot(home, VIEW)
    replace_rows(rows(("c", 0, 1.0)), home=home, view=VIEW)
    assert read_snapshot(home, VIEW) is None
    assert read_vectors(home, VIEW).item_ids.tolist() == ["c"]


def test_vectors_of_another_width_end_the_snapshot(home):
    write_snapshot(home, VIEW)
    append_rows(rows(("d", 0, 1.0), width=4), home=home, view=VIEW)
    assert read_snapshot(home, VIEW) is None
    assert write_snapshot(home, VIEW) is None
    assert not list(home.vector_snapshots(VIEW).glob("v*1"))[1:]


def test_who_reads_an_old_version_goes_on_reading_it_while_two_more_are_written(home):
    write_snapshot(home, VIEW)
    mapped = read_snapshot(home, VIEW)
    for value in (5.0, 6.0):
        append_rows(rows(("a", 1, value)), home=home, view=VIEW)
        write_snapshot(home, VIEW)
    assert mapped.matrix[0, 0] == 3.0
    assert read_snapshot(home, VIEW).matrix[0, 0] == 6.0
    kept = sorted(path.name for path in home.vector_snapshots(VIEW).glob("v*"))
    assert kept == ["v000002", "v000003"]


def test_a_write_that_died_before_it_was_named_leaves_the_last_version(home):
    write_snapshot(home, VIEW)
    half = home.vector_snapshots(VIEW) / "v000002"
    half.mkdir()
    (half / "vectors.f32").write_bytes(b"half")
    assert_same(read_snapshot(home, VIEW), from_table(home))
    assert write_snapshot(home, VIEW).version == 3


def test_an_empty_table_gets_no_snapshot(tmp_path):
    home = Home(tmp_path)
    replace_rows(rows(("a", 0, 1.0)).slice(0, 0), home=home, view=VIEW)
    assert write_snapshot(home, VIEW) is None
    assert read_vectors(home, VIEW).matrix.shape == (0, 0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "push", "write", "replace"]),
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.integers(0, 99).map(float)),
            min_size=1,
            max_size=4,
            unique_by=lambda row: row[:2],
        ),
    ),
    max_size=8,
)


def searched(examples):
    quiet = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, suppress_health_check=quiet)


def after(done, folder):
    shutil.rmtree(folder)
    home = Home(folder)
    replace_rows(rows(("b", 0, 1.0)), home=home, view=VIEW)
    write_snapshot(home, VIEW)
    for kind, some in done:
        if kind == "push":
            append_rows(rows(*some), home=home, view=VIEW)
        elif kind == "replace":
            replace_rows(rows(*some), home=home, view=VIEW)
        else:
            write_snapshot(home, VIEW)
        assert_same(read_vectors(home, VIEW), from_table(home))


@searched(15)
@given(steps)
def test_after_any_pushes_writes_and_replacements_vectors_are_those_of_the_table(tmp_path, done):
    after(done, tmp_path)


@pytest.mark.slow
@searched(300)
@given(steps)
def test_and_after_very_many(tmp_path, done):
    after(done, tmp_path)


def torn(home, name, *, keep):
    """Cut a file of the newest version, or fill its end with zeros, as a lost write leaves it."""
    path = home.vector_snapshots(VIEW) / snapshot_state(home, VIEW).folder / name
    content = path.read_bytes()
    cut = content[: len(content) // 2]
    path.write_bytes(cut + bytes(len(content) - len(cut)) if keep else cut)


@pytest.mark.parametrize("keep", [False, True], ids=["cut", "zeros"])
@pytest.mark.parametrize("name", ["vectors.f32", "rows.arrow", "000001.arrow"])
def test_a_torn_file_is_refused_the_table_is_read_and_the_next_version_is_whole(
    home, caplog, name, keep
):
    write_snapshot(home, VIEW)
    append_rows(rows(("c", 2, 9.0)), home=home, view=VIEW)
    torn(home, name, keep=keep)

    assert_same(read_vectors(home, VIEW), from_table(home))
    assert "is refused" in caplog.text
    assert name in caplog.text
    assert snapshot_state(home, VIEW) is None

    assert write_snapshot(home, VIEW).name == "2.0"
    assert_same(read_snapshot(home, VIEW), from_table(home))


def test_a_process_reads_what_it_opens_again_once_for_its_checksum_until_it_is_another_file(
    home, monkeypatch
):
    write_snapshot(home, VIEW)
    read, checksum = [], vector_snapshot._checksum
    monkeypatch.setattr(
        vector_snapshot, "_checksum", lambda path: read.append(path.name) or checksum(path)
    )
    vector_snapshot._kept_checksum.cache_clear()
    for _ in range(2):
        assert read_snapshot(home, VIEW) is not None
    assert sorted(read) == ["rows.arrow", "vectors.f32"]

    torn(home, "vectors.f32", keep=False)
    assert read_snapshot(home, VIEW) is None
    assert read[2:] == ["vectors.f32"]


def test_what_is_read_ahead_is_not_read_again(home, monkeypatch):
    write_snapshot(home, VIEW)
    read, checksum = [], vector_snapshot._checksum
    monkeypatch.setattr(
        vector_snapshot, "_checksum", lambda path: read.append(path.name) or checksum(path)
    )
    reading = read_ahead(home, VIEW)
    assert_same(read_snapshot(home, VIEW), from_table(home))
    reading.join(30)
    assert not reading.is_alive()
    assert sorted(read) == [vector_snapshot.ROWS, vector_snapshot.VECTORS]


def test_reading_ahead_leaves_what_is_wrong_to_who_opens_it(home):
    read_ahead(home, VIEW).join(30)  # there is no version
    write_snapshot(home, VIEW)
    folder = home.vector_snapshots(VIEW) / snapshot_state(home, VIEW).folder
    (folder / vector_snapshot.VECTORS).write_bytes(b"torn")
    read_ahead(home, VIEW).join(30)
    assert snapshot_state(home, VIEW) is not None
    assert read_snapshot(home, VIEW) is None
    assert snapshot_state(home, VIEW) is None


def test_a_version_without_a_file_is_forgotten(home):
    state = write_snapshot(home, VIEW)
    (home.vector_snapshots(VIEW) / state.folder / "rows.arrow").unlink()
    assert_same(read_vectors(home, VIEW), from_table(home))
    assert snapshot_state(home, VIEW) is None


@pytest.mark.parametrize("content", ["", '{"version": 1, "ro', '{"version": 1}', "[]"])
def test_a_torn_name_of_the_version_is_no_version(home, content):
    write_snapshot(home, VIEW)
    (home.vector_snapshots(VIEW) / "current.json").write_text(content)
    assert snapshot_state(home, VIEW) is None
    append_rows(rows(("c", 2, 9.0)), home=home, view=VIEW)
    assert_same(read_vectors(home, VIEW), from_table(home))


def test_a_version_of_an_earlier_release_has_no_checksums_and_is_read(home):
    write_snapshot(home, VIEW)
    current = home.vector_snapshots(VIEW) / "current.json"
    told = json.loads(current.read_text())
    del told["checksums"]
    current.write_text(json.dumps(told))
    append_rows(rows(("c", 2, 9.0)), home=home, view=VIEW)
    assert_same(read_snapshot(home, VIEW), from_table(home))


def test_a_torn_table_is_named(home):
    path = home.feature_table(VIEW)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match=r"item_vector\.parquet cannot be read, it may be torn"):
        read_vectors(home, VIEW)


def test_the_mirror_is_written_anew_only_where_rows_went_or_it_is_not_that_of_the_table(home):
    before = write_snapshot(home, VIEW)
    assert drop_rows(home, ITEM_VECTOR, ["nobody"]) == 0
    assert snapshot_state(home, VIEW) == before
    assert drop_rows(home, ITEM_VECTOR, ["a"]) == 2
    assert snapshot_state(home, VIEW).version == before.version + 1
    assert read_snapshot(home, VIEW).item_ids.tolist() == ["b"]
    assert len(list(home.vector_snapshots(VIEW).glob("v*"))) == 1
    replace_rows(rows(("c", 0, 1.0)), home=home, view=VIEW)  # and killed before the mirror
    assert drop_rows(home, ITEM_VECTOR, ["a"]) == 0
    assert read_snapshot(home, VIEW).item_ids.tolist() == ["c"]

"""Every process that serves learns of each listing that changed, in whatever process."""

import errno
import os

import pytest

from feature_repo import listing_changes
from feature_repo.home import Home
from feature_repo.listing_changes import ListingChanges, record


def test_a_reader_is_told_each_change_once_from_where_it_began(tmp_path):
    home = Home(tmp_path)
    early = ListingChanges(home)
    record(home, ["b", "a"])
    late = ListingChanges(home)
    assert early.ids() == ["a", "b"]
    assert early.ids() == []
    assert late.ids() == []
    record(home, ["c"])
    record(home, ["a"])
    record(home, [])
    assert early.ids() == ["a", "c"]
    assert late.ids() == ["a", "c"]


def test_a_large_batch_and_a_full_file_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(listing_changes, "FILE_BYTES", 300)
    monkeypatch.setattr(listing_changes, "PART", 4)
    home = Home(tmp_path)
    reader = ListingChanges(home)
    told = []
    for number in range(30):
        batch = [f"i{number:02d}-{part}" for part in range(6)]
        record(home, batch)
        found = reader.ids()
        assert found == batch
        told += found
    assert len(told) == 180
    folder = home.listing_changes.parent
    assert sum(path.stat().st_size for path in folder.glob("*.jsonl")) < 3 * 300


def test_who_was_away_for_too_long_is_told_to_start_from_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(listing_changes, "FILE_BYTES", 60)
    home = Home(tmp_path)
    reader = ListingChanges(home)
    for number in range(12):
        record(home, [f"i{number}"])
    assert reader.ids() is None
    record(home, ["later"])
    assert reader.ids() == ["later"]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path):
    home = Home(tmp_path)
    record(home, ["a"])
    reader = ListingChanges(home)
    with home.listing_changes.open("a") as file:
        file.write('{"number": 2, "item')
    assert reader.ids() == []
    with home.listing_changes.open("a") as file:
        file.write('_ids": ["b"]}\n')
    assert reader.ids() == ["b"]


@pytest.mark.parametrize("count", [1, 3])
def test_readers_of_one_folder_do_not_take_each_others_changes(tmp_path, count):
    home = Home(tmp_path)
    readers = [ListingChanges(home) for _ in range(count)]
    record(home, ["x"])
    assert [reader.ids() for reader in readers] == [["x"]] * count


def test_a_line_that_a_dead_writer_tore_does_not_hide_the_next(tmp_path):
    home = Home(tmp_path)
    reader = ListingChanges(home)
    record(home, ["a"])
    with home.listing_changes.open("a") as file:
        file.write('{"number": 2, "it')
    record(home, ["b"])
    assert reader.ids() == ["a", "b"]


def test_a_line_longer_than_what_is_read_of_the_end_still_has_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(listing_changes, "END_BYTES", 8)
    home = Home(tmp_path)
    reader = ListingChanges(home)
    for number in range(5):
        record(home, [f"i{number}-{'x' * 40}-{part}" for part in range(20)])
    record(home, ["{last}"])
    assert [one.number for one in listing_changes._read(home.listing_changes)] == [1, 2, 3, 4, 5, 6]
    assert len(reader.ids()) == 101


def test_of_a_long_file_a_record_reads_the_end_alone(tmp_path, monkeypatch):
    home = Home(tmp_path)
    record(home, [f"i{number}" for number in range(20_000)])
    read = []
    told = listing_changes._told
    monkeypatch.setattr(listing_changes, "_told", lambda end: read.append(len(end)) or told(end))
    record(home, ["one more"])
    assert home.listing_changes.stat().st_size > 150_000
    assert sum(read) < 20_000
    assert ListingChanges(home)._number == 41


def test_a_torn_first_line_of_a_new_file_hides_neither_numbers_nor_the_next(tmp_path, monkeypatch):
    home = Home(tmp_path)
    reader = ListingChanges(home)
    record(home, ["a"])
    home.listing_changes.replace(home.listing_changes.with_name("listing_changes.1.jsonl"))
    home.listing_changes.write_text('{"numb')
    record(home, ["b"])
    assert reader.ids() == ["a", "b"]


def test_a_full_disk_is_told_of_once_a_change_not_with_every_look(tmp_path, monkeypatch, caplog):
    home, append, full = Home(tmp_path), listing_changes._append, True

    def unless_full(path, ids, *, kind):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(path, ids, kind=kind)

    monkeypatch.setattr(listing_changes, "_append", unless_full)
    reader = ListingChanges(home)
    record(home, ["a"])
    record(home, ["b"])
    assert [reader.ids() for _ in range(5)] == [[]] * 5
    assert [one.getMessage().split(":")[0] for one in caplog.records] == [
        "other processes hear later of 1 listings",
        "other processes hear later of 2 listings",
    ]
    full = False
    assert reader.ids() == ["a", "b"]

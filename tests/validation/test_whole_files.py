import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from validation.whole_files import alone, remove_left_over, replacing


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    with replacing(path) as partial:
        partial.write_text("old")
    with pytest.raises(KeyError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise KeyError


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    path, link = tmp_path / "kept", tmp_path / "link"
    path.write_text("old")
    link.symlink_to(path)
    with replacing(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_one_at_a_time_is_in_a_lock_and_an_error_gives_it_back(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / ".lock"
    with alone(lock), pytest.raises(BlockingIOError), alone(lock, wait=False):
        pass
    with pytest.raises(KeyError), alone(lock):
        raise KeyError
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with alone(lock):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.005)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert most == [1] * 16


@pytest.mark.parametrize(("durable", "flushed"), [(False, []), (True, ["new", "folder"])])
def test_what_is_acknowledged_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool, flushed: list[str]
) -> None:
    path, told = tmp_path / "kept", list[str]()
    path.write_text("old")
    fsync = os.fsync

    def watched(handle: int) -> None:
        file = Path(f"/proc/self/fd/{handle}").resolve()
        told.append("folder" if file.is_dir() else file.read_text())
        assert path.read_text() == ("new" if file.is_dir() else "old")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with replacing(path, durable=durable) as partial:
        partial.write_text("new")
    assert told == flushed


def test_what_killed_writers_left_goes(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    for name in (".kept.1.partial", ".kept.22.partial", ".other.1.partial"):
        (tmp_path / name).write_text("half")
    assert remove_left_over(path) == 2
    assert [one.name for one in tmp_path.iterdir()] == [".other.1.partial"]

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from validation.whole_files import alone, replacing


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

"""Lines are dropped a file at a time, while others add lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feature_repo import rotating_lines

BYTES = 60
FILES = 12


def add(path: Path, who: str) -> None:
    rotating_lines.append(path, {"who": who, "pad": "x" * 20}, file_bytes=BYTES, files=FILES)


def told(path: Path) -> list[str]:
    return [one["who"] for _, _, one in rotating_lines.read(path, files=FILES, kind="line")]


def test_who_adds_lines_waits_for_one_file_and_nothing_that_moves_on_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines.jsonl"
    for number in range(6):
        add(path, "gone" if number % 2 else f"kept-{number}")
    assert rotating_lines.kept(path, files=FILES)[0].name == "lines.5.jsonl"
    changing, added, files = rotating_lines.changing, list[str](), list[int]()

    @contextmanager
    def beside(of: Path) -> Iterator[None]:
        with changing(of):
            yield
        files.append(len(files))
        if files[-1] % 3 == 1:  # a new file, so that the others move on
            added.append(f"new-{len(added)}")
            with monkeypatch.context() as patched:
                patched.setattr(rotating_lines, "changing", changing)
                add(of, added[-1])

    monkeypatch.setattr(rotating_lines, "changing", beside)
    gone = rotating_lines.drop(path, files=FILES, going=lambda one: one["who"] == "gone")
    assert gone == 3
    assert "gone" not in told(path)
    assert len(files) > 5
    assert told(path) == ["kept-0", "kept-2", "kept-4", *added]

"""Lines are dropped a file at a time, while others add lines."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feature_repo import rotating_lines

BYTES = 60
FILES = 12
LARGE = 1 << 20


def add(path: Path, who: str, *, file_bytes: int = BYTES) -> None:
    rotating_lines.append(path, {"who": who, "pad": "x" * 20}, file_bytes=file_bytes, files=FILES)


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
    monkeypatch.setattr(rotating_lines, "changing", changing)
    assert gone == 3
    assert "gone" not in told(path)
    assert len(files) > 5
    assert told(path) == ["kept-0", "kept-2", "kept-4", *added]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel takes what fits of a write, as of a disk that is nearly full, and no more then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_fits_in_part_is_not_there_at_all(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    add(path, "a", file_bytes=LARGE)
    before = path.read_bytes()
    too_large = pytest.raises(OSError, match=os.strerror(errno.EFBIG))
    with files_of_at_most(len(before) + 10), too_large:
        add(path, "b", file_bytes=LARGE)
    assert path.read_bytes() == before
    add(path, "c", file_bytes=LARGE)
    assert told(path) == ["a", "c"]


@pytest.mark.parametrize("whole", [1, 0], ids=["after a whole one", "alone"])
@pytest.mark.parametrize("length", [7, 10_000])
def test_a_line_that_a_dead_writer_tore_goes_with_the_next_one(
    tmp_path: Path, whole: int, length: int
) -> None:
    path = tmp_path / "lines.jsonl"
    for _ in range(whole):
        add(path, "a", file_bytes=LARGE)
    with path.open("a") as file:
        file.write('{"who": "' + "x" * length)
    add(path, "b", file_bytes=LARGE)
    assert told(path) == ["a"] * whole + ["b"]


def test_whole_lines_of_a_growing_file_are_read_on_from_where_they_ended(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"one\n\ntwo\nthr")
    with path.open("rb") as file:
        first = list(rotating_lines.whole_lines(file))
        assert first == [b"one\n", b"\n", b"two\n"]
        read = sum(map(len, first))
        assert list(rotating_lines.whole_lines(file, start=read)) == []
        with path.open("ab") as more:
            more.write(b"ee\nfour")
        assert list(rotating_lines.whole_lines(file, start=read)) == [b"three\n"]


def test_a_reader_misses_nothing_though_files_are_numbered_while_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    for number in range(6):
        add(path, f"{number}")
    found = list[str]()
    for _, _, one in rotating_lines.read(path, files=FILES, kind="line"):
        found.append(one["who"])
        if len(found) in (2, 4):
            add(path, "later")
    assert found == [f"{number}" for number in range(6)]


def test_a_reader_finds_the_oldest_file_though_it_goes_while_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    for number in range(FILES):
        add(path, f"{number}")
    reader = rotating_lines.read(path, files=FILES, kind="line")
    found = [next(reader)[2]["who"]]
    for _ in range(3):
        add(path, "later")
    found += [one["who"] for _, _, one in reader]
    assert found == [f"{number}" for number in range(FILES)]


def test_as_many_files_are_kept_as_is_said_and_the_oldest_is_told_before_it_goes(
    tmp_path: Path,
) -> None:
    path, lost = tmp_path / "lines.jsonl", list[str]()
    for number in range(6):
        rotating_lines.append(
            path,
            {"who": number},
            file_bytes=1,
            files=4,
            losing=lambda file: lost.append(file.read_text()),
        )
    assert len(list(tmp_path.glob("lines*.jsonl"))) == 4
    assert len(rotating_lines.kept(path, files=4)) == 4
    assert lost == ['{"who": 0}\n', '{"who": 1}\n']

"""Pages of an experiment are counted by what the log grew by, and anew where it was rewritten."""

import itertools
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo import page_log, page_tally, rotating_lines
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.page_log import CURRENT, FILES, PageLog, ServedPage
from feature_repo.page_tally import PageTally, VariantTally

NUMBERS = itertools.count()
"""Pages are told apart by their ids, as files are by their first page."""


def page(
    user_id: str | None, *, variant: str = "a", experiment: str = "e", session_id: str | None = None
) -> ServedPage:
    return ServedPage(
        page_id=f"p{next(NUMBERS)}",
        served_at=datetime(2026, 1, 1, tzinfo=UTC),
        user_id=user_id,
        session_id=session_id,
        model="m",
        policy=None,
        experiment=experiment,
        variant=variant,
        personal=None,
        item_ids=("i",),
        propensities=(1.0,),
    )


def test_pages_and_people_are_counted_by_variant(tmp_path: Path) -> None:
    home = Home(tmp_path)
    log, tally = PageLog(home), PageTally(home, "e")
    assert tally.counted() == {}
    for one in (page("u"), page("u"), page(None, session_id="u"), page("v", variant="b")):
        log.keep(one)
    assert tally.counted() == {"a": VariantTally(3, 2), "b": VariantTally(1, 1)}
    log.keep(page("w", experiment="another"))
    log.keep(page("w", variant="b"))
    assert tally.counted() == {"a": VariantTally(3, 2), "b": VariantTally(2, 2)}


def test_nothing_is_read_twice_and_a_line_that_is_not_whole_waits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    PageLog(home).keep(page("u"))
    tally = PageTally(home, "e")
    assert tally.counted()["a"].pages == 1
    path = home.served / CURRENT
    line = path.read_bytes()
    begins = line[: rotating_lines.BEGINS]  # by which the file is known
    path.write_bytes(
        begins.ljust(len(line) - 1, b"x") + b"\n"
    )  # what was counted is not looked at again
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert tally.counted()["a"].pages == 1
        file.write(line[20:])
    assert tally.counted()["a"].pages == 2


def test_files_that_are_numbered_stay_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 400)
    home = Home(tmp_path)
    log, tally = PageLog(home), PageTally(home, "e")
    for number in range(7):
        log.keep(page(f"u{number}"))
        assert tally.counted()["a"] == VariantTally(number + 1, number + 1)
    assert len(rotating_lines.kept(home.served / CURRENT, files=FILES)) > 2


def test_a_file_that_goes_is_taken_off_and_no_other_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 400)
    monkeypatch.setattr(page_log, "FILES", 3)
    monkeypatch.setattr(page_tally, "FILES", 3)
    home, add, read = Home(tmp_path), PageTally._add, list[object]()

    def watched(tally: PageTally, told: dict[str, str | None], *more: object) -> None:
        read.append(told)
        add(tally, told, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(PageTally, "_add", watched)
    log, tally = PageLog(home), PageTally(home, "e")
    for number in range(9):
        log.keep(page(f"u{number}"))
        tally.counted()
    assert len(read) == 9
    there = len(list(page_log.read_pages(home)))
    assert there < 9
    assert tally.counted() == {"a": VariantTally(there, there)}


def test_files_that_move_on_between_their_names_and_their_bytes_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, waiting = Home(tmp_path), list[threading.Thread]()
    monkeypatch.setattr(page_log, "FILE_BYTES", 400)
    log, tally, kept = PageLog(home), PageTally(home, "e"), rotating_lines.kept
    log.keep(page("u"))

    def beside(path: Path, *, files: int) -> list[Path]:
        found = kept(path, files=files)
        waiting.append(threading.Thread(target=log.keep, args=(page("v"),)))
        waiting[-1].start()  # it makes another file of each name as soon as it may
        waiting[-1].join(0.2)
        return found

    monkeypatch.setattr(rotating_lines, "kept", beside)
    assert tally.counted() == {"a": VariantTally(1, 1)}
    waiting[-1].join()
    assert tally.counted() == {"a": VariantTally(2, 2)}
    waiting[-1].join()


def test_pages_of_who_was_erased_are_not_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    log, tally = PageLog(home), PageTally(home, "e")
    for user in ("u", "v", "v"):
        log.keep(page(user))
    assert tally.counted()["a"] == VariantTally(3, 2)
    path = home.served / CURRENT
    rotating_lines.drop(path, files=FILES, going=lambda told: told["user_id"] == "v")
    assert tally.counted()["a"] == VariantTally(1, 1)


def test_a_line_that_is_no_page_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.served.mkdir()
    (home.served / CURRENT).write_text("{}\n")
    with pytest.raises(JobError, match=r"pages\.jsonl holds no served page at byte 0"):
        PageTally(home, "e").counted()

"""Pages of an experiment are counted by what the log grew by, and anew where it was rewritten."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo import page_log, rotating_lines
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.page_log import CURRENT, FILES, PageLog, ServedPage
from feature_repo.page_tally import PageTally, VariantTally


def page(
    user_id: str | None, *, variant: str = "a", experiment: str = "e", session_id: str | None = None
) -> ServedPage:
    return ServedPage(
        page_id="p",
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
    path.write_bytes(b"x" * (len(line) - 1) + b"\n")  # what was counted is not looked at again
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

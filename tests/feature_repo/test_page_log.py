"""The log of pages is bounded, and what went of an experiment is known."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo import page_log
from feature_repo.home import Home
from feature_repo.page_log import PageLog, ServedPage, lost_pages, read_pages

NAME = 'winter "26"'


def page(number: int, *, experiment: str | None = NAME) -> ServedPage:
    return ServedPage(
        page_id=f"p{number}",
        served_at=datetime(2026, 1, 1, tzinfo=UTC),
        user_id=f"u{number}",
        session_id=None,
        model="m",
        policy=None,
        experiment=experiment,
        variant="a" if experiment else None,
        personal=None,
        item_ids=('"experiment": "another"',),
        propensities=(1.0,),
    )


def kept(log: PageLog, home: Home, pages: list[ServedPage]) -> tuple[int, int]:
    """Pages that are in the log, and that it has lost, once these were added."""
    for one in pages:
        log.keep(one)
    return sum(page.experiment == NAME for page in read_pages(home)), lost_pages(home, NAME)


def test_pages_of_an_experiment_that_go_with_a_full_log_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 1_000)
    monkeypatch.setattr(page_log, "FILES", 3)
    home = Home(tmp_path)
    log = PageLog(home)
    assert kept(log, home, [page(number) for number in range(5)]) == (5, 0)
    there, lost = kept(log, home, [page(number) for number in range(5, 40)])
    assert lost > 20
    assert there + lost == 40
    others = [page(number, experiment=None) for number in range(40, 80)]
    assert kept(log, home, others) == (0, 40)
    assert lost_pages(home, "another") == 0


def test_a_larger_log_keeps_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_log, "FILE_BYTES", 1_000)
    monkeypatch.setattr(page_log, "FILES", 3)
    home = Home(tmp_path)
    assert kept(PageLog(home, gib=40.0), home, [page(one) for one in range(40)]) == (40, 0)

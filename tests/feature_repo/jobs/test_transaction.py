import json
import os
import threading
from pathlib import Path

import pytest

from feature_repo.errors import JobError
from feature_repo.jobs import transaction
from feature_repo.jobs.transaction import JOURNAL, commit, locked, partial_path, recover


def staged(path: Path, text: str) -> Path:
    partial_path(path).write_text(text)
    return path


def test_files_are_replaced_and_removed_together(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "gone").write_text("gone")
    changes = {
        staged(tmp_path / "old", "new"): True,
        staged(tmp_path / "more", "more"): True,
        tmp_path / "gone": False,
    }
    commit(tmp_path, changes)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "old": "new",
        "more": "more",
    }


def test_killed_before_the_journal_the_old_state_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    staged(tmp_path / "a", "new")
    assert recover(tmp_path) is False
    assert (tmp_path / "a").read_text() == "old"


def test_killed_between_two_renames_the_change_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [staged(tmp_path / name, f"new {name}") for name in ("a", "b")]
    for file in files:
        file.write_text("old")
    replace, renamed = os.replace, []

    def killed(source: Path, target: Path) -> None:
        if Path(target).name == "b":
            raise KeyboardInterrupt
        replace(source, target)
        renamed.append(Path(target).name)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        commit(tmp_path, dict.fromkeys(files, True))
    assert renamed == [JOURNAL, "a"]
    monkeypatch.setattr(os, "replace", replace)
    assert recover(tmp_path) is True
    assert [file.read_text() for file in files] == ["new a", "new b"]
    assert not (tmp_path / JOURNAL).exists()


def test_every_step_is_on_the_disk_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal on disk names whole files, and goes when their new names are there."""
    file = staged(tmp_path / "a", "new")
    steps: list[str] = []
    replace, unlink = os.replace, Path.unlink

    def flushed(path: Path) -> None:
        steps.append(f"flush {path.relative_to(tmp_path)}")

    def renamed(source: Path, target: Path) -> None:
        steps.append(f"to {Path(target).name}")
        replace(source, target)

    def removed(path: Path, *, missing_ok: bool = False) -> None:
        steps.append(f"remove {path.name}")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(transaction, "flush", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(Path, "unlink", removed)
    commit(tmp_path, {file: True})
    assert steps == [
        "flush .a.partial",
        f"flush .{JOURNAL}.partial",
        f"to {JOURNAL}",
        "flush .",
        "to a",
        "flush .",
        f"remove {JOURNAL}",
    ]


def test_a_change_holds_the_folder_and_gives_it_back(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    taken = pytest.raises(JobError, match="another process is changing")
    with locked(folder), taken, locked(folder):
        pass
    with locked(folder):
        pass


def test_taking_the_folder_finishes_what_a_killed_process_left(tmp_path: Path) -> None:
    staged(tmp_path / "a", "new")
    (tmp_path / transaction.JOURNAL).write_text(json.dumps({"a": True}))
    with locked(tmp_path):
        assert (tmp_path / "a").read_text() == "new"


def test_who_waits_gets_the_folder_when_the_other_change_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    started = threading.Event()

    def wait_for_it() -> None:
        started.set()
        with locked(tmp_path, wait=True):
            order.append("waited")

    with locked(tmp_path):
        other = threading.Thread(target=wait_for_it)
        other.start()
        assert started.wait(timeout=10)
        other.join(timeout=0.2)
        assert other.is_alive()
        order.append("first")
    other.join(timeout=10)
    assert order == ["first", "waited"]

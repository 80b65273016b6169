import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_repo.errors import JobError
from feature_repo.jobs import transaction
from feature_repo.jobs.transaction import (
    JOURNAL,
    commit,
    locked,
    partial_path,
    recover,
    together,
)


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


def shop(root: Path) -> dict[str, Path]:
    """Files of two folders that change together, as they are before."""
    files = {name: root / name for name in ("catalog/items", "catalog/truth", "held/items")}
    for name, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}")
    return files


def contents(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text() for path in found}


def change_all(root: Path, *, fails: type[BaseException] | None = None) -> None:
    """One file of each folder is written, a third one removed, and a new folder's first one."""
    files = shop(root)
    with together(root / "catalog") as change:
        change.content_of(files["catalog/items"]).write_text("new catalog/items")
        change.remove(files["catalog/truth"])
        change.content_of(root / "later" / "items").write_text("new later/items")
        change.content_of(files["held/items"]).write_text("new held/items")
        if fails is not None:
            raise fails


CHANGED = {name: f"new {name}" for name in ("catalog/items", "held/items", "later/items")}


def test_files_of_several_folders_change_together(tmp_path: Path) -> None:
    change_all(tmp_path)
    assert contents(tmp_path) == CHANGED


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_all_as_it_was_and_nothing_beside_it(
    tmp_path: Path, error: type[BaseException]
) -> None:
    before = {name: path.read_text() for name, path in shop(tmp_path).items()}
    with pytest.raises(error):
        change_all(tmp_path, fails=error)
    assert contents(tmp_path) == before


def test_wherever_the_disk_is_full_all_is_new_or_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: path.read_text() for name, path in shop(tmp_path).items()}
    flush = transaction.flush
    for steps in range(20):
        left = iter(range(steps))

        def full(path: Path, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, "full")
            flush(path)

        monkeypatch.setattr(transaction, "flush", full)
        try:
            change_all(tmp_path)
        except OSError:
            monkeypatch.setattr(transaction, "flush", flush)
            finished = recover(tmp_path / "catalog")
            assert contents(tmp_path) == (CHANGED if finished else before)
            (tmp_path / "later" / "items").unlink(missing_ok=True)
        else:
            break
    assert steps >= 7, "each content, each other folder and the journal is flushed"
    assert contents(tmp_path) == CHANGED


def test_killed_between_two_folders_the_change_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(target).parent.name == "held":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        change_all(tmp_path)
    monkeypatch.setattr(os, "replace", replace)
    assert (tmp_path / "held" / "items").read_text() == "old held/items"
    with locked(tmp_path / "catalog"):
        found = contents(tmp_path)
    assert found.pop(f"catalog/{transaction.LOCK}") == ""
    assert found == CHANGED

"""Files are read to nowhere by a process of its own, whatever is wrong with one of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bentos.recommender import serve
from feature_repo import page_cache
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.offline_tables import replace_rows
from feature_repo.page_cache import read_beside, read_through
from feature_repo.vector_snapshot import write_snapshot
from tests.feature_repo.test_vector_snapshot import rows

linux = pytest.mark.skipif(sys.platform != "linux", reason="sendfile to no socket is Linux's")


@linux
def test_a_file_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "CHUNK", 1_000)
    path = tmp_path / "vectors"
    path.write_bytes(b"x" * 4_321)
    assert read_through(path) == 4_321


@linux
def test_a_process_reads_what_there_is_and_ends(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"x")
    reading = read_beside([tmp_path / "gone", there])
    assert reading is not None
    assert reading.wait(60) == 0
    assert read_beside([]) is None


def test_a_service_begins_to_read_its_newest_vectors_before_it_imports_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    replace_rows(rows(("a", 0, 1.0)), home=home, view="item_vector")
    for _ in range(2):
        write_snapshot(home, "item_vector")
    folder = home.vector_snapshots("item_vector")
    shutil.copytree(folder / "v000002", folder / "v000003")  # whose writer died
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    for name in ("BENTOML_HOME", "BENTOML_DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")
    done: list[object] = []
    monkeypatch.setattr(serve, "read_beside", lambda paths: done.append(list(paths)))
    monkeypatch.setattr(serve.os, "execv", lambda path, arguments: done.append(arguments[2:4]))
    monkeypatch.setattr(sys, "argv", ["serve"])
    serve.main()
    newest = [folder / "v000002" / name for name in ("rows.arrow", "vectors.f32")]
    assert done == [newest, ["bentoml", "serve"]]
    replace_rows(rows(("a", 0, 2.0)), home=home, view="item_vector")  # the table is read instead
    serve.main()
    assert done[2] == []


def test_to_know_which_files_these_are_no_large_library_is_imported() -> None:
    ask = "import sys, bentos.recommender.serve; print(*sys.modules)"
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert not {"bentoml", "numpy", "pandas", "pyarrow", "torch"} & set(asked.stdout.split())

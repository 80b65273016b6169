"""Files are read to nowhere by a process of its own, whatever is wrong with one of them."""

import sys
from pathlib import Path

import pytest

from bentos.recommender import serve
from feature_repo import page_cache
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.page_cache import read_beside, read_through

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
    for version in ("v000001", "v000002"):
        folder = home.vector_snapshots("item_vector") / version
        folder.mkdir(parents=True)
        (folder / "vectors.f32").write_bytes(b"x")
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    for name in ("BENTOML_HOME", "BENTOML_DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")
    done: list[object] = []
    monkeypatch.setattr(serve, "read_beside", lambda paths: done.append(list(paths)))
    monkeypatch.setattr(serve.os, "execv", lambda path, arguments: done.append(arguments[2:4]))
    monkeypatch.setattr(sys, "argv", ["serve"])
    serve.main()
    newest = home.vector_snapshots("item_vector") / "v000002" / "vectors.f32"
    assert done == [[newest], ["bentoml", "serve"]]

"""Extraction on a real Ray: the rows of one process, also where actors or the whole job die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.errors import JobError
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, extract
from feature_repo.jobs.parts import Parts
from feature_repo.jobs.ray_engine import RayCluster
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items
from validation import quarantine

PROJECT = Path(__file__).resolve().parents[3]
TEXTS = ITEM_TEXT_EMBEDDING.name
COUNT = 400
SIZE = 4


class MortalEncoder(CountingEncoder):
    """Kills its own process once, at a batch that another process has not died at yet."""

    def __init__(self, *, grave: Path, dies_at: int, seconds: float = 0.0) -> None:
        super().__init__(Modality.TEXT)
        self.grave, self.seconds, self.mortal_at = grave, seconds, dies_at

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        time.sleep(self.seconds)
        if self.batches + 1 == self.mortal_at and not self.grave.exists():
            self.grave.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(prepared)


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="needs the extra ray: pip install 'ray[data]'")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=2**28)
    yield
    ray.shutdown()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return catalogue(Home(tmp_path / "state"))


def catalogue(home: Home, count: int = COUNT) -> Home:
    write_items(
        home, *({"item_id": f"i{n:04}", "title": f"{'a' * (n % 7)} {n}"} for n in range(count))
    )
    return home


def run(home: Home, encoder: CountingEncoder, **options: Any) -> ExtractResult:
    return extract(
        home=home,
        now=NOW,
        image_encoder=encoder if encoder.modality is Modality.IMAGE else None,
        text_encoder=encoder if encoder.modality is Modality.TEXT else None,
        batch_size=SIZE,
        **options,
    )


def rows(home: Home, view: str = TEXTS) -> pa.Table:
    return pq.read_table(home.feature_table(view))


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
def test_the_rows_are_those_of_one_process(home: Home, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = run(
        home,
        CountingEncoder(Modality.TEXT),
        cluster=RayCluster(workers=2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (result.encoded, result.skipped) == (COUNT, 0)
    assert seen[-1] == (COUNT, COUNT)
    assert len(seen) > COUNT // SIZE // 2
    alone = catalogue(Home(tmp_path / "alone"))
    run(alone, CountingEncoder(Modality.TEXT))
    assert rows(home).equals(rows(alone))
    assert [vector[0] for vector in rows(home)["embedding"].to_pylist()] == [
        n % 7 + 1 for n in range(COUNT)
    ]
    assert rows(home).schema.remove_metadata() == ITEM_TEXT_EMBEDDING.schema


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
def test_a_corrupt_photo_goes_to_quarantine(tmp_path: Path) -> None:
    home = Home(tmp_path / "state")
    paths = [photo(home.photos / f"{n}.png", f"#{n * 20:02x}4080") for n in range(9)]
    write_items(home, *({"item_id": f"i{n}", "image_path": str(p)} for n, p in enumerate(paths)))
    paths[3].write_bytes(paths[3].read_bytes()[:70])
    result = run(home, CountingEncoder(Modality.IMAGE), cluster=RayCluster(workers=1))
    assert (result.encoded, result.quarantined) == (8, 1)
    held = quarantine.load(home.quarantine, ITEM_IMAGE_EMBEDDING.name)
    assert held["key"].tolist() == ["i3"]
    assert str(paths[3]) in held["reasons"][0][0]
    assert "i3" not in rows(home, ITEM_IMAGE_EMBEDDING.name)["item_id"].to_pylist()


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
def test_an_actor_that_is_killed_is_started_again_and_every_listing_comes_once(
    home: Home, tmp_path: Path
) -> None:
    grave = tmp_path / "grave"
    result = run(home, MortalEncoder(grave=grave, dies_at=5), cluster=RayCluster(workers=2))
    assert int(grave.read_text()) != os.getpid()
    assert result.encoded == COUNT
    assert rows(home)["item_id"].to_pylist() == [f"i{n:04}" for n in range(COUNT)]


@pytest.mark.slow
def test_a_job_that_is_killed_goes_on_and_every_listing_comes_once(
    home: Home, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs the extra ray: pip install 'ray[data]'")
    program = (
        "import sys; from pathlib import Path; from feature_repo.home import Home\n"
        "from feature_repo.jobs.ray_engine import RayCluster\n"
        "from tests.feature_repo.jobs.test_ray_engine import MortalEncoder, run\n"
        "encoder = MortalEncoder(grave=Path(sys.argv[2]), dies_at=0, seconds=0.2)\n"
        "run(Home(Path(sys.argv[1])), encoder, cluster=RayCluster(workers=1))\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", program, str(home.root), str(tmp_path / "grave")], cwd=PROJECT
    )
    hash_ = CountingEncoder(Modality.TEXT).hash
    parts = home.encoder_parts(TEXTS, hash_)
    until = time.monotonic() + 240
    while len(list(parts.glob("batch-*.parquet"))) < 3 and time.monotonic() < until:
        assert job.poll() is None, "the job ended before it could be killed"
        time.sleep(0.05)
    job.kill()
    job.wait()
    written = sum(
        pq.read_metadata(path).num_rows
        for path in Parts(home, ITEM_TEXT_EMBEDDING, encoder_hash=hash_).files()
    )
    assert 3 * SIZE <= written < COUNT
    result = run(home, CountingEncoder(Modality.TEXT))
    assert (result.skipped, result.encoded) == (written, COUNT - written)
    assert rows(home)["item_id"].to_pylist() == [f"i{n:04}" for n in range(COUNT)]


def test_without_ray_the_error_says_what_to_install(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(JobError, match=r"pip install 'coldstart-home\[ray\]'"):
        run(home, CountingEncoder(Modality.TEXT), cluster=RayCluster())

"""Extraction on a real Ray: the rows of one process, also where actors or the whole job die.

Every batch that reaches the model is written down where no kill can undo it, so that what was
encoded twice is counted and not guessed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.errors import JobError
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, extract
from feature_repo.jobs.ray_engine import RayCluster
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items
from validation import quarantine

PROJECT = Path(__file__).resolve().parents[3]
TEXTS = ITEM_TEXT_EMBEDDING.name
PHOTOS = ITEM_IMAGE_EMBEDDING.name
COUNT = 400
SIZE = 4
CORRUPT = 123


class RecordingEncoder(CountingEncoder):
    """Writes down its process and the photos' numbers, then takes a while to encode them."""

    def __init__(self, journal: Path, *, seconds: float = 0.0) -> None:
        super().__init__(Modality.IMAGE)
        self.journal, self.seconds = journal, seconds

    def prepare(self, content: Any) -> npt.NDArray[np.float32]:
        return np.asarray(content, np.float32)[0, 0]

    def forward(self, prepared: Sequence[npt.NDArray[np.float32]]) -> FloatMatrix:
        numbers = [number_of(vector) for vector in prepared]
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps([os.getpid(), numbers]) + "\n")  # one write, whole or not at all
        time.sleep(self.seconds)
        return super().forward(prepared)


def number_of(vector: Sequence[float]) -> int:
    """Of the listing whose photo has this colour."""
    return int(vector[1]) * 256 + int(vector[2])


def entries(journal: Path) -> list[tuple[int, list[int]]]:
    """(process, numbers) of each batch that reached a model."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    return [(pid, numbers) for pid, numbers in map(json.loads, lines)]


def photographed(home: Home) -> Home:
    """Listings with photos of different colours, of which that of `CORRUPT` cannot be read."""
    rows = []
    home.photos.mkdir(parents=True)
    for number in range(COUNT):
        path = home.photos / f"{number:04}.png"
        Image.new("RGB", (8, 8), (9, number // 256, number % 256)).save(path)
        rows.append({"item_id": f"i{number:04}", "image_path": str(path)})
    path.with_name(f"{CORRUPT:04}.png").write_bytes(path.read_bytes()[:45])
    write_items(home, *rows)
    return home


def assert_every_photo_once(home: Home, journal: Path, *, under_way: int) -> None:
    """Rows, quarantine and journal; so many batches may have been encoded in vain."""
    whole = [number for number in range(COUNT) if number != CORRUPT]
    found = rows(home, PHOTOS)
    assert found["item_id"].to_pylist() == [f"i{number:04}" for number in whole]
    assert [number_of(vector) for vector in found["embedding"].to_pylist()] == whole
    held = quarantine.load(home.quarantine, PHOTOS)
    assert held["key"].tolist() == [f"i{CORRUPT:04}"]
    assert f"{CORRUPT:04}.png" in held["reasons"][0][0]
    times = Counter(number for _, numbers in entries(journal) for number in numbers)
    assert sorted(times) == whole
    assert times.total() - len(whole) <= under_way * SIZE
    assert not home.encoder_parts(PHOTOS, RecordingEncoder(journal).hash).exists()


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
def test_an_actor_that_is_killed_midway_costs_the_batch_that_it_was_at(tmp_path: Path) -> None:
    home, journal = photographed(Home(tmp_path / "state")), tmp_path / "journal"
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done >= total // 2 and not killed:
            killed.append(entries(journal)[-1][0])
            os.kill(killed[0], signal.SIGKILL)

    encoder = RecordingEncoder(journal, seconds=0.1)
    result = run(home, encoder, cluster=RayCluster(workers=2), progress=kill_one)
    assert (result.encoded, result.quarantined) == (COUNT - 1, 1)
    processes = {pid for pid, _ in entries(journal)}
    assert len(processes) == 3  # two, and the one that took the place of
    assert killed[0] in processes - {os.getpid()}
    assert_every_photo_once(home, journal, under_way=1)


@pytest.mark.slow
@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize("cluster", [None, RayCluster(workers=2)], ids=["here", "on Ray"])
def test_a_job_that_is_killed_midway_goes_on_and_costs_the_batch_that_each_actor_was_at(
    tmp_path: Path, cluster: RayCluster | None
) -> None:
    home, journal = photographed(Home(tmp_path / "state")), tmp_path / "journal"
    program = (
        "import sys; from pathlib import Path; from feature_repo.home import Home\n"
        "from feature_repo.jobs.ray_engine import RayCluster\n"
        "from tests.feature_repo.jobs.test_ray_engine import RecordingEncoder, run\n"
        "encoder = RecordingEncoder(Path(sys.argv[2]), seconds=0.1)\n"
        "run(Home(Path(sys.argv[1])), encoder, cluster=RayCluster(workers=2))\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", program, str(home.root), str(journal)], cwd=PROJECT
    )
    until = time.monotonic() + 240
    while len(entries(journal)) < COUNT // SIZE // 2 and time.monotonic() < until:
        assert job.poll() is None, "the job ended before it could be killed"
        time.sleep(0.02)
    job.kill()
    job.wait()
    assert not home.feature_table(PHOTOS).exists()
    before = entries(journal)
    assert len({pid for pid, _ in before}) == 2
    result = run(home, RecordingEncoder(journal), cluster=cluster)
    assert (result.encoded + result.skipped, result.quarantined) == (COUNT - 1, 1)
    assert result.skipped >= (len(before) - 2) * SIZE - 1  # one of these batches lacks CORRUPT
    assert_every_photo_once(home, journal, under_way=2)


def test_without_ray_the_error_says_what_to_install(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(JobError, match=r"pip install 'coldstart-home\[ray\]'"):
        run(home, CountingEncoder(Modality.TEXT), cluster=RayCluster())

"""Processes that read photos: the same photos in the same order, whatever becomes of a process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.images import ImageInput, TorchImageEncoder
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.errors import EncoderError, JobError
from feature_repo.home import REPOSITORY, Home
from feature_repo.jobs.extract import extract
from feature_repo.jobs.opening import AHEAD, photo_workers, tell
from feature_repo.jobs.photo_workers import PhotoWorkers
from feature_repo.jobs.pipeline import encoded
from tests.feature_repo.jobs.photo_readings import middle, reading, sides
from tests.feature_repo.jobs.test_pipeline import batch
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items

COLOURS = ("red", "green", "blue", "yellow", "navy", "teal", "olive", "maroon")


def colours(folder: Path) -> list[str]:
    """A photo of each colour."""
    return [str(photo(folder / f"{colour}.png", colour)) for colour in COLOURS]


def small_encoder() -> TorchImageEncoder:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
    )
    return TorchImageEncoder(
        network,
        name="small",
        width=32,
        licence="Apache-2.0",
        weights_hash="0",
        preprocessing=ImageInput(size=40, mean=(0.5,) * 3, std=(0.5,) * 3),
        device="cpu",
    )


def read(workers: PhotoWorkers, paths: list[str]) -> tuple[npt.NDArray[Any], list[str | None]]:
    """A batch, and its slot given back."""
    slot = workers.take()
    begun = workers.begin(paths, slot)
    reasons = [reason for some in begun for reason in some.result()]
    photos = slot.photos[: len(paths)].copy()
    workers.give_back(slot)
    return photos, reasons


def expected(paths: list[str]) -> npt.NDArray[np.uint8]:
    return np.stack([middle(open_photo(Path(path))) for path in paths])


@contextmanager
def reading_by(
    how: PhotoReading, *, count: int = 1, batch: int = 2, slots: int = 1
) -> Iterator[PhotoWorkers]:
    """Processes that were told how to read."""
    with PhotoWorkers(count=count, warm=()) as workers:
        workers.tell(how, batch=batch, slots=slots)
        yield workers


@pytest.fixture(scope="module")
def two() -> Iterator[PhotoWorkers]:
    with reading_by(reading(), count=2, batch=8, slots=2) as workers:
        yield workers


def test_photos_come_in_their_order_and_what_cannot_be_read_says_why(
    two: PhotoWorkers, tmp_path: Path
) -> None:
    paths = colours(tmp_path)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no photo")
    asked = [*paths[:3], str(bad), *paths[3:6]]
    photos, reasons = read(two, asked)
    assert [place for place, reason in enumerate(reasons) if reason] == [3]
    assert reasons[3] == f"{bad} is not a photo Pillow knows"
    np.testing.assert_array_equal(np.delete(photos, 3, axis=0), expected(paths[:6]))


def test_a_killed_process_is_started_again_and_its_photos_are_read_again(
    two: PhotoWorkers, tmp_path: Path
) -> None:
    paths = colours(tmp_path)
    read(two, paths)
    before = set(two.processes)
    os.kill(min(before), signal.SIGKILL)
    (tmp_path / "once.png").write_bytes(b"")
    asked = [*paths[:7], str(tmp_path / "once.png")]
    photos, reasons = read(two, asked)
    assert reasons == [None] * 8
    np.testing.assert_array_equal(photos, expected([*paths[:7], paths[0]]))
    assert len(two.processes) == 2
    assert len(before & set(two.processes)) < 2


def test_a_photo_of_which_the_decoder_dies_is_one_that_cannot_be_read(
    two: PhotoWorkers, tmp_path: Path
) -> None:
    paths = colours(tmp_path)
    deadly = str(tmp_path / "deadly.png")
    photos, reasons = read(two, [*paths[:5], deadly, *paths[5:7]])
    assert [place for place, reason in enumerate(reasons) if reason] == [5]
    assert reasons[5] == (f"{deadly} cannot be decoded: the process that read it ended by SIGSEGV")
    np.testing.assert_array_equal(np.delete(photos, 5, axis=0), expected(paths[:7]))


def test_who_kills_processes_again_and_again_ends_the_job_and_blames_no_photo(
    two: PhotoWorkers, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=r"ended 3 times.*by SIGKILL.*fewer --decoders"):
        read(two, [str(tmp_path / "large.png")])


def test_a_mistake_in_reading_is_told_as_one(two: PhotoWorkers, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="a mistake in the reading itself"):
        read(two, [str(tmp_path / "wrong.png")])


def test_photos_of_several_shapes_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with (
        reading_by(PhotoReading(sides)) as workers,
        pytest.raises(JobError, match=r"\(24,\) numbers.*\(64,\).*without --decoders"),
    ):
        read(workers, colours(tmp_path)[:1])


def test_a_process_that_cannot_begin_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.jobs.photo_workers._import_path", lambda: [str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    with (
        reading_by(reading()) as workers,
        pytest.raises(JobError, match="ended with exit code 1 before it could"),
    ):
        read(workers, colours(tmp_path)[:1])


def test_vectors_are_those_of_threads_byte_for_byte_with_a_process_killed_midway(
    tmp_path: Path,
) -> None:
    paths = colours(tmp_path) * 5
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    paths[11] = str(bad)
    work = [batch(*paths[first : first + 7]) for first in range(0, len(paths), 7)]
    encoder = small_encoder()
    with ThreadPoolExecutor(4) as pool:
        by_threads = list(encoded(iter(work), encoder=encoder, pool=pool))
        with photo_workers(2) as workers:
            assert workers is not None
            tell(workers, encoder, batch=7)
            by_processes = []
            for one in encoded(iter(work), encoder=encoder, pool=pool, workers=workers):
                by_processes.append(one)
                if len(by_processes) == 2:
                    os.kill(workers.processes[0], signal.SIGKILL)
    assert len(by_threads) == len(by_processes) == 6
    for ours, theirs in zip(by_processes, by_threads, strict=True):
        np.testing.assert_array_equal(ours.vectors, theirs.vectors)
        assert ours.work.equals(theirs.work)
        assert ours.refused == theirs.refused
    assert sum(len(one.refused) for one in by_processes) == 1


def test_the_memory_that_is_shared_does_not_grow_with_the_batches(tmp_path: Path) -> None:
    encoder = small_encoder()
    paths = colours(tmp_path)
    taken, most = 0, 0
    with (
        ThreadPoolExecutor(1) as pool,
        photo_workers(2) as workers,
    ):
        assert workers is not None
        tell(workers, encoder, batch=4)
        size = os.fstat(workers._descriptor).st_size
        assert size == (AHEAD + 2) * 4 * 40 * 40 * 3
        take, give_back = workers.take, workers.give_back

        def counted() -> Any:
            nonlocal taken, most
            taken += 1
            most = max(most, taken)
            return take()

        def returned(slot: Any) -> None:
            nonlocal taken
            taken -= 1
            give_back(slot)

        workers.take, workers.give_back = counted, returned  # type: ignore[method-assign]
        batches = (batch(*paths[:4]) for _ in range(30))
        done = encoded(batches, encoder=encoder, pool=pool, workers=workers)
        assert sum(len(one.vectors) for one in done) == 120
    assert (taken, most) == (0, AHEAD + 1)


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_end_with_the_block_and_with_a_job_that_is_killed(tmp_path: Path) -> None:
    paths = colours(tmp_path)
    with reading_by(reading(), count=2, batch=8) as workers:
        read(workers, paths)
        ids = workers.processes
    assert len(ids) == 2
    assert not any(map(runs, ids))
    program = f"""
import sys, time
from feature_repo.jobs.photo_workers import PhotoWorkers
from tests.feature_repo.jobs.photo_readings import reading
with PhotoWorkers(count=2, warm=()) as workers:
    workers.tell(reading(), batch=8, slots=1)
    for one in workers.begin({paths!r}, workers.take()):
        one.result()
    print(*workers.processes, flush=True)
    time.sleep(60)
"""
    job = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # the processes' too
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY.parent)},
    )
    assert job.stdout is not None
    assert job.stderr is not None
    ids = [int(one) for one in job.stdout.readline().split()]
    assert len(ids) == 2
    job.kill()
    job.wait()
    until = time.monotonic() + 10
    while time.monotonic() < until and any(map(runs, ids)):
        time.sleep(0.05)
    assert not any(map(runs, ids))
    assert job.stderr.read() == ""


def test_an_extraction_by_processes_writes_what_one_by_threads_does(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("threads", "processes")]
    photos = colours(tmp_path / "photos")
    bad = tmp_path / "photos" / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no photo")
    found, quarantined = [], []
    for home, decoders in zip(homes, (0, 2), strict=True):
        write_items(
            home,
            *(
                {"item_id": f"i{number}", "title": "a chair", "image_path": path}
                for number, path in enumerate([*photos, str(bad)])
            ),
        )
        result = extract(
            home=home,
            now=NOW,
            image_encoder=small_encoder(),
            text_encoder=CountingEncoder(Modality.TEXT),
            batch_size=3,
            decoders=decoders,
        )
        assert (result.modalities["image"].encoded, result.quarantined) == (len(photos), 1)
        found.append(pq.read_table(home.feature_table("item_image_embedding")))
        quarantined.append(
            pa.concat_tables(
                pq.read_table(path) for path in sorted((home.quarantine).rglob("*.parquet"))
            )
        )
    assert found[0].equals(found[1])
    assert quarantined[0].num_rows == quarantined[1].num_rows == 1


def test_an_encoder_that_reads_in_its_own_way_is_refused_with_what_to_do() -> None:
    with (
        PhotoWorkers(count=1, warm=()) as workers,
        pytest.raises(EncoderError, match="without --decoders"),
    ):
        tell(workers, CountingEncoder(Modality.IMAGE), batch=4)


def test_no_processes_are_no_workers() -> None:
    with photo_workers(0) as workers:
        assert workers is None

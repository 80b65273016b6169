"""Batches of workers as files: whole, told apart from another job's, and parts to the next job."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.errors import JobError
from feature_repo.feature_tables import ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.batches import Batch, Given
from feature_repo.jobs.contents import PHOTO_CHECK, Refusal
from feature_repo.jobs.extract import extract
from feature_repo.jobs.kept_batches import KeptBatches
from feature_repo.jobs.parts import Parts
from feature_repo.jobs.ray_engine import BATCHES, EncodingActor
from tests.feature_repo.jobs.test_parts import rows, work
from tests.feature_repo.samples import NOW, CountingEncoder, write_items

REFUSED = [Refusal("i9", PHOTO_CHECK, "photos/i9.png", "shop", "cannot be decoded")]


@pytest.fixture
def kept(tmp_path: Path) -> KeptBatches:
    return KeptBatches(tmp_path, "one")


@pytest.mark.parametrize("items", [(["a", "b"], ["c"]), ()], ids=["rows", "refusals alone"])
def test_a_batch_comes_back_as_it_was_kept(kept: KeptBatches, items: tuple[list[str]]) -> None:
    batch = Batch(rows(*items), REFUSED, 0.25, 1_700_000_000.5)
    kept.keep(3, batch)
    found = kept.find(3)
    assert found is not None
    assert found.rows.equals(batch.rows)
    assert found.rows.schema.metadata is None
    assert (found.refused, found.seconds, found.done_at) == (REFUSED, 0.25, 1_700_000_000.5)


def test_a_number_is_another_batch_in_another_job_and_none_once_it_is_forgotten(
    kept: KeptBatches,
) -> None:
    kept.keep(3, Batch(rows(["a"]), [], 0.0, 0.0))
    assert KeptBatches(kept.folder, "two").find(3) is None
    kept.forget(range(5))
    assert kept.find(3) is None


def test_the_next_job_takes_kept_batches_for_parts(tmp_path: Path) -> None:
    home, encoder = Home(tmp_path), CountingEncoder(Modality.TEXT)
    write_items(home, *({"item_id": f"i{n}", "title": "ab" * n} for n in range(1, 7)))
    first = CountingEncoder(Modality.TEXT, dies_at=2)
    with pytest.raises(KeyboardInterrupt):
        extract(home=home, now=NOW, image_encoder=None, text_encoder=first, batch_size=2)
    parts = Parts(home, ITEM_TEXT_EMBEDDING, encoder_hash=encoder.hash)
    (part,) = parts.files()
    kept = KeptBatches(parts.folder, "dead")
    kept.keep(0, Batch(pq.read_table(part), [], 0.0, 0.0))
    part.unlink()
    result = extract(home=home, now=NOW, image_encoder=None, text_encoder=encoder, batch_size=2)
    assert (result.skipped, result.encoded, encoder.encoded) == (2, 4, 4)
    found = pq.read_table(home.feature_table(ITEM_TEXT_EMBEDDING.name))
    assert found["item_id"].to_pylist() == [f"i{n}" for n in range(1, 7)]


def test_workers_are_wanted_while_the_job_lives_and_no_longer_once_it_is_killed(
    kept: KeptBatches,
) -> None:
    with pytest.raises(JobError, match="has ended"):
        kept.require_wanted()
    program = (
        "import sys, time; from pathlib import Path\n"
        "from feature_repo.jobs.kept_batches import KeptBatches\n"
        "with KeptBatches(Path(sys.argv[1]), 'one').wanted():\n"
        "    print('begun', flush=True); time.sleep(600)\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", program, str(kept.folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == "begun\n"
        kept.require_wanted()
        with pytest.raises(JobError, match="has ended"):
            KeptBatches(kept.folder, "two").require_wanted()
    finally:
        job.kill()
        job.communicate()
    with pytest.raises(JobError, match="has ended"):
        kept.require_wanted()


def test_an_actor_encodes_what_the_one_before_it_left_and_tells_every_number(
    kept: KeptBatches,
) -> None:
    path = kept.folder / "work.parquet"
    pq.write_table(work(*([f"i{n:02}"] for n in range(2 * BATCHES + 3))), path)
    encoder = CountingEncoder(Modality.TEXT)
    options = {"given": Given(encoder), "path": str(path), "kept": kept, "now": NOW}
    actor = EncodingActor(batch_size=2, threads=1, **options)
    task = pa.table({"id": [1]})
    with kept.wanted():
        before = actor(task)
        assert next(before)["batch"].to_pylist() == [BATCHES]
        assert encoder.encoded == 2
        before.close()
        told = [number for table in actor(task) for number in table["batch"].to_pylist()]
        assert told == [BATCHES, BATCHES + 1]
        assert encoder.encoded == 3
    found = [kept.find(number) for number in told]
    ids = [item for one in found if one for item in one.rows["item_id"].to_pylist()]
    assert ids == [f"i{n:02}" for n in range(2 * BATCHES, 2 * BATCHES + 3)]
    with pytest.raises(JobError, match="has ended"):
        next(actor(pa.table({"id": [0]})))

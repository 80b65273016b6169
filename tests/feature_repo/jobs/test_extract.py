import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.errors import EncoderError, JobError
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, encode_items, extract
from feature_repo.jobs.judging import Judging
from feature_repo.jobs.parts import Parts
from tests.feature_repo.samples import NOW, CountingEncoder, at, photo, write_chairs, write_items
from validation import quarantine

COLOURS = {"a": "red", "b": "green", "c": "blue", "d": "black", "e": "yellow"}
PHOTOS = ITEM_IMAGE_EMBEDDING.name
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    catalogue(home)
    return home


def catalogue(home: Home, colours: dict[str, str] = COLOURS) -> None:
    """Items with a photo each, one with text only."""
    write_chairs(home, colours, {"item_id": "z", "description": "no photo"})


def run(home: Home, image: CountingEncoder, **options: object) -> ExtractResult:
    return extract(
        home=home, now=NOW, image_encoder=image, text_encoder=None, batch_size=2, **options
    )  # type: ignore[arg-type]


def image_encoder(**options: object) -> CountingEncoder:
    return CountingEncoder(Modality.IMAGE, **options)  # type: ignore[arg-type]


def stored(home: Home) -> pd.DataFrame:
    return pq.read_table(home.feature_table(PHOTOS)).to_pandas().set_index("item_id")


def test_every_photo_and_text_gets_a_row_and_an_item_without_a_photo_has_none(home: Home) -> None:
    result = extract(
        home=home,
        now=NOW,
        image_encoder=image_encoder(),
        text_encoder=CountingEncoder(Modality.TEXT),
        batch_size=2,
    )
    counts = result.as_dict()
    assert (counts["encoded"], counts["skipped"], counts["quarantined"]) == (11, 0, 0)
    assert (counts["image"]["absent"], counts["text"]["absent"]) == (1, 0)
    photos = pq.read_table(home.feature_table(PHOTOS))
    assert photos.schema.remove_metadata() == ITEM_IMAGE_EMBEDDING.schema
    assert photos["item_id"].to_pylist() == list("abcde")
    texts = pq.read_table(home.feature_table("item_text_embedding")).to_pandas()
    assert set(texts["item_id"]) == set("abcdez")
    assert set(texts.loc[texts["item_id"] == "z", "event_timestamp"]) == {at("2000-01-01")}
    assert set(photos["event_timestamp"].to_pandas()) == {at("2024-01-01")}


def test_one_photo_of_several_items_is_encoded_once_and_refused_for_all(home: Home) -> None:
    catalogue(home, {"a": "red", "b": "red", "c": "blue", "d": "red"})
    encoder = image_encoder()
    assert run(home, encoder).encoded == 4
    assert encoder.encoded == 2
    rows = stored(home)["embedding"].map(list)
    assert rows["a"] == rows["b"] == rows["d"] != rows["c"]
    for name in ("b", "c"):
        (home.photos / f"{name}.png").write_bytes(b"no photo")
    assert run(home, encoder).quarantined == 2
    held = quarantine.load(home.quarantine, PHOTOS)
    assert held["key"].tolist() == ["b", "c"]
    assert ["b.png" in held["reasons"][0][0], "c.png" in held["reasons"][1][0]] == [True, True]


def test_a_second_run_encodes_nothing(home: Home) -> None:
    run(home, image_encoder())
    before = home.feature_table(PHOTOS).read_bytes()
    again = image_encoder()
    result = run(home, again)
    assert (result.encoded, result.skipped, again.encoded) == (0, 5, 0)
    assert home.feature_table(PHOTOS).read_bytes() == before


def test_a_corrected_date_or_source_reaches_the_rows_and_encodes_nothing(home: Home) -> None:
    """What became known later than it was listed would be seen too early, or never."""
    run(home, image_encoder())
    before, later = stored(home), NOW + pd.Timedelta(days=1)
    items = pq.read_table(home.items).to_pylist()
    corrections = {"b": {"listed_at": at("2023-05-05")}, "c": {"source": "outlet"}}
    rows = [{**item, **corrections.get(item["item_id"], {})} for item in items]
    write_items(home, *rows, {"item_id": "f", "image_path": rows[0]["image_path"]})
    again = image_encoder()
    extract(home=home, now=later, image_encoder=again, text_encoder=None)
    after = stored(home)
    assert again.encoded == 1
    assert after.loc["b", "event_timestamp"] == at("2023-05-05")
    assert after["source"].to_dict() == dict.fromkeys("abdef", "shop") | {"c": "outlet"}
    assert set(after.index[after["created_timestamp"] == later]) == {"b", "c", "f"}
    rest = [
        name for name in before if name not in ("event_timestamp", "created_timestamp", "source")
    ]
    pd.testing.assert_frame_equal(after.loc[list("abcde"), rest], before[rest])
    bytes_after = home.feature_table(PHOTOS).read_bytes()
    extract(home=home, now=later, image_encoder=again, text_encoder=None)
    assert home.feature_table(PHOTOS).read_bytes() == bytes_after


def test_a_date_that_alone_is_corrected_is_written(home: Home) -> None:
    run(home, image_encoder())
    items = pq.read_table(home.items).to_pylist()
    write_items(home, *(item | {"listed_at": None} for item in items))
    assert run(home, image_encoder()).encoded == 0
    assert set(stored(home)["event_timestamp"]) == {at("2000-01-01")}


def test_a_changed_photo_is_encoded_again_and_no_other(home: Home) -> None:
    run(home, image_encoder())
    before = stored(home)
    photo(home.photos / "b.png", "purple")
    result = run(home, image_encoder())
    after = stored(home)
    assert (result.encoded, result.skipped) == (1, 4)
    changed = before["content_hash"] != after["content_hash"]
    assert list(after.index[changed]) == ["b"]
    np.testing.assert_array_equal(after.loc["a", "embedding"], before.loc["a", "embedding"])


def test_another_encoder_encodes_everything_again_beside_the_one_that_serves(home: Home) -> None:
    first = run(home, image_encoder())
    before = home.feature_table(PHOTOS).read_bytes()
    result = run(home, image_encoder(version="2"))
    assert (result.encoded, result.skipped) == (5, 0)
    assert (first.modalities["image"].serves, result.modalities["image"].serves) == (True, False)
    assert home.feature_table(PHOTOS).read_bytes() == before
    beside = pq.read_table(home.encoder_table(PHOTOS, "hash-image-2"))
    assert beside["item_id"].to_pylist() == list("abcde")
    assert set(beside["encoder_hash"].to_pylist()) == {"hash-image-2"}
    assert run(home, image_encoder(version="2")).skipped == 5
    assert run(home, image_encoder()).skipped == 5


def test_the_encoder_that_serves_goes_on_while_a_killed_one_waits_to_resume(home: Home) -> None:
    run(home, image_encoder())
    with pytest.raises(KeyboardInterrupt):
        run(home, image_encoder(version="2", dies_at=3))
    done = Parts(home, ITEM_IMAGE_EMBEDDING, encoder_hash="hash-image-2").files()
    changed = pq.read_table(done[0])["item_id"][0].as_py()
    photo(home.photos / f"{changed}.png", "purple")
    assert run(home, image_encoder()).encoded == 1
    resumed = image_encoder(version="2")
    assert run(home, resumed).skipped == 3
    assert resumed.encoded == 2


def test_a_killed_run_goes_on_where_it_was(home: Home) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(home, image_encoder(dies_at=3))
    second = image_encoder()
    result = run(home, second)
    assert second.encoded == 1
    assert (result.encoded, result.skipped) == (1, 4)
    assert list(stored(home).index) == list("abcde")
    assert not home.encoder_parts(PHOTOS, second.hash).exists()


def test_a_process_that_is_killed_loses_at_most_the_batch_it_was_at(home: Home) -> None:
    """SIGKILL, as the kernel or a cluster does it."""
    program = (
        "import os, signal, sys; from pathlib import Path; from feature_repo.home import Home\n"
        "from feature_repo.encoders.encoder import Modality\n"
        "from tests.feature_repo.jobs.test_extract import run\n"
        "from tests.feature_repo.samples import CountingEncoder\n"
        "class Mortal(CountingEncoder):\n"
        "    def forward(self, prepared):\n"
        "        if self.batches == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().forward(prepared)\n"
        "run(Home(Path(sys.argv[1])), Mortal(Modality.IMAGE))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home.root)], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = image_encoder()
    result = run(home, resumed)
    assert (resumed.encoded, result.encoded, result.skipped) == (1, 1, 4)
    assert list(stored(home).index) == list("abcde")


def test_a_table_written_by_ranges_of_items_is_the_one_written_at_once(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"i{number * 37 % 101:03}": f"#{number:02x}8040" for number in range(101)}
    whole, ranged = Home(tmp_path / "whole"), Home(tmp_path / "ranged")
    catalogue(whole, many)
    catalogue(ranged, many)
    run(whole, image_encoder())
    monkeypatch.setattr("feature_repo.jobs.ranges.FEWEST", 8)
    monkeypatch.setattr("feature_repo.jobs.ranges.RANGE_BYTES", 1)
    run(ranged, image_encoder(), item_ids=list(many)[:60])
    run(ranged, image_encoder())
    assert pq.ParquetFile(ranged.feature_table(PHOTOS)).num_row_groups == 13
    pd.testing.assert_frame_equal(stored(ranged), stored(whole))
    assert list(stored(ranged).index) == sorted(many)


def test_vectors_judged_in_chunks_are_refused_and_told_as_all_at_once(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blinking(CountingEncoder):
        """Sees nothing in every seventh photo, and something unheard of in every eleventh."""

        def forward(self, prepared: Sequence[Any]) -> np.ndarray:
            rows = super().forward(prepared).copy()
            number = np.round(rows[:, 0]).astype(int)
            rows[number % 7 == 0] = 0
            rows[number % 11 == 0] *= (1, -1, 1)
            return rows

    def told(folder: str) -> tuple[object, ...]:
        state = Home(tmp_path / folder)
        catalogue(state, {f"i{number:03}": f"#{number:02x}c040" for number in range(200)})
        run(state, image_encoder(), item_ids=[f"i{number:03}" for number in range(120)])
        result = run(state, Blinking(Modality.IMAGE)).modalities["image"]
        held = quarantine.load(state.quarantine, PHOTOS)
        return sorted(held["key"]), result.quarantined, result.encoded, result.unusual

    together = told("together")
    monkeypatch.setattr("feature_repo.jobs.judging.CHUNK", 9)
    assert told("chunks") == together
    assert together[1] > 5


def test_earlier_batches_are_judged_before_they_are_put_together_with_new_ones(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(home, image_encoder(dies_at=2))
    monkeypatch.setattr("feature_repo.jobs.parts.TOGETHER", 2)
    usual = Judging._usual

    def late(self: Judging, stored: Path) -> Any:
        time.sleep(0.5)
        return usual(self, stored)

    monkeypatch.setattr(Judging, "_usual", late)
    run(home, image_encoder())
    assert list(stored(home).index) == list("abcde")


def test_a_resumed_run_says_of_all_rows_what_an_uninterrupted_one_says(
    home: Home, tmp_path: Path
) -> None:
    class Alike(CountingEncoder):
        def forward(self, prepared: Sequence[Any]) -> Any:
            return np.ones_like(super().forward(prepared))

    with pytest.raises(KeyboardInterrupt):
        run(home, Alike(Modality.IMAGE, dies_at=3))
    resumed = run(home, Alike(Modality.IMAGE)).modalities["image"]
    assert resumed.encoded == 1
    whole = Home(tmp_path / "whole")
    catalogue(whole)
    told = run(whole, Alike(Modality.IMAGE)).modalities["image"].notes
    assert "nearly the same for every item" in told[0]
    assert resumed.notes == told


def test_a_killed_run_resumed_gives_the_table_of_an_uninterrupted_one(
    home: Home, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(home, image_encoder(dies_at=2))
    run(home, image_encoder())
    whole = Home(tmp_path / "whole")
    catalogue(whole)
    run(whole, image_encoder())
    pd.testing.assert_frame_equal(stored(home), stored(whole))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "gone"])
def test_a_photo_that_cannot_be_read_goes_to_quarantine_and_the_others_are_encoded(
    home: Home, damage: str
) -> None:
    path = home.photos / "c.png"
    if damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes({"truncated": whole[:60], "empty": b"", "text": b"not a photo"}[damage])
    result = run(home, image_encoder())
    assert (result.encoded, result.quarantined) == (4, 1)
    assert list(stored(home).index) == list("abde")
    held = quarantine.load(home.quarantine, PHOTOS)
    assert list(held["key"]) == ["c"]
    assert str(path) in held["reasons"][0][0]
    assert run(home, image_encoder()).quarantined == 1
    photo(path, "blue")
    assert run(home, image_encoder()).encoded == 1
    assert quarantine.load(home.quarantine, PHOTOS).empty


def test_a_photo_that_is_damaged_later_loses_its_row(home: Home) -> None:
    run(home, image_encoder())
    (home.photos / "a.png").write_bytes(b"damaged")
    result = run(home, image_encoder())
    assert (result.modalities["image"].removed, result.quarantined) == (1, 1)
    assert list(stored(home).index) == list("bcde")


def test_an_item_that_left_the_catalogue_leaves_the_table(home: Home) -> None:
    run(home, image_encoder())
    catalogue(home, {"a": "red", "b": "green"})
    result = run(home, image_encoder())
    assert (result.encoded, result.modalities["image"].removed) == (0, 3)
    assert list(stored(home).index) == ["a", "b"]


def test_a_vector_of_zeros_goes_to_quarantine(home: Home) -> None:
    class Blind(CountingEncoder):
        def forward(self, prepared: object) -> np.ndarray:
            return super().forward(prepared) * 0  # type: ignore[arg-type]

    result = run(home, Blind(Modality.IMAGE))
    assert (result.encoded, result.quarantined) == (0, 5)
    assert stored(home).empty
    assert set(quarantine.load(home.quarantine, PHOTOS)["key"]) == set("abcde")


def test_extracting_some_items_leaves_the_others_as_they_are(home: Home) -> None:
    first = run(home, image_encoder(), item_ids=["a", "b"])
    second = run(home, image_encoder(), item_ids=["b", "c"])
    assert (first.encoded, second.encoded, second.skipped) == (2, 1, 1)
    assert list(stored(home).index) == ["a", "b", "c"]


def test_progress_counts_the_items_to_encode(home: Home) -> None:
    seen: list[tuple[int, int]] = []
    run(home, image_encoder(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_new_listings_are_encoded_as_rows_to_push(home: Home) -> None:
    items = pq.read_table(home.items).to_pandas()
    (home.photos / "e.png").write_bytes(b"")
    rows, refused = encode_items(items, encoder=image_encoder(), now=NOW)
    assert list(rows["item_id"]) == list("abcd")
    assert list(rows.columns) == ITEM_IMAGE_EMBEDDING.schema.names
    assert [refusal.item_id for refusal in refused] == ["e"]
    run(home, image_encoder())
    pd.testing.assert_frame_equal(rows.set_index("item_id"), stored(home))


def test_an_encoder_of_the_other_modality_is_refused(home: Home) -> None:
    with pytest.raises(EncoderError, match="given for images"):
        run(home, CountingEncoder(Modality.TEXT))


def test_an_encoder_of_texts_that_there_is_not_is_told_before_a_photo_is_encoded(
    home: Home,
) -> None:
    eyes = image_encoder()
    with pytest.raises(EncoderError, match="there is no encoder 'nobody'"):
        extract(home=home, now=NOW, image_encoder=eyes, text_encoder="nobody")
    assert not home.feature_table(PHOTOS).exists()
    assert eyes.encoded == 0


def test_without_a_catalogue_the_error_says_to_ingest(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="coldstart ingest"):
        run(Home(tmp_path / "nothing"), image_encoder())


def test_an_empty_catalogue_makes_an_empty_table(tmp_path: Path) -> None:
    home = Home(tmp_path / "empty")
    write_items(home)
    assert run(home, image_encoder()).encoded == 0
    assert pa.types.is_list(pq.read_schema(home.feature_table(PHOTOS)).field("embedding").type)

"""The first listings are encoded while the others are looked at, and nothing else changes by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs import extract as extracting
from feature_repo.jobs.batches import Batch
from feature_repo.jobs.contents import CONTENTS, ITEMS_AT_ONCE
from feature_repo.jobs.extract import ExtractResult, extract
from feature_repo.jobs.head_start import in_work_order, with_head_start
from feature_repo.jobs.worklist import Contents
from tests.feature_repo.samples import NOW, CountingEncoder, photo, write_items

BATCH = 512
MORE = 104
COUNT = ITEMS_AT_ONCE + MORE
WAIT = 20.0
TEXTS = ITEM_TEXT_EMBEDDING.name
PHOTOS = ITEM_IMAGE_EMBEDDING.name


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A catalogue of more than one part, every text another."""
    home = Home(tmp_path / "state")
    titles = (f"{'a' * (n % 7)}{'b' * (n % 5)}{'c' * (n % 3)} {n}" for n in range(COUNT))
    write_items(home, *({"item_id": f"i{n:05}", "title": one} for n, one in enumerate(titles)))
    return home


def run(home: Home, encoder: CountingEncoder) -> ExtractResult:
    texts = encoder.modality is Modality.TEXT
    return extract(
        home=home,
        now=NOW,
        image_encoder=None if texts else encoder,
        text_encoder=encoder if texts else None,
        batch_size=BATCH,
    )


def contents(*pairs: tuple[str, str]) -> pa.Table:
    rows = [
        {"item_id": f"i{number}", "value": value, "content_hash": digest, "source": "shop"}
        for number, (value, digest) in enumerate(pairs)
    ]
    return pa.Table.from_pylist(rows, schema=CONTENTS)


def test_the_first_part_is_encoded_before_the_last_was_looked_at() -> None:
    encoded = Event()

    def look(found: Callable[[pa.Table], None]) -> Contents:
        found(contents(("b", "2"), ("a", "1")))
        assert encoded.wait(WAIT)
        found(contents(("c", "3")))
        return Contents(Path(), 3, 3, [])

    def encode(work: Iterator[pa.Table]) -> Iterator[Batch]:
        for one in work:
            rows = pa.table({"item_id": one["item_id"].combine_chunks().flatten()})
            yield Batch(rows, [], 0.0, 0.0)
        encoded.set()

    looked, head = with_head_start(
        look, encode, table=ITEM_TEXT_EMBEDDING, modality=Modality.TEXT, batch_size=1
    )
    assert looked.contents == 3
    assert (len(head.batches), head.items) == (2, {"i0", "i1"})


def test_texts_are_in_order_of_length_photos_of_hash_and_equal_ones_in_a_row() -> None:
    given = contents(("long", "1"), ("b", "3"), ("a", "2"), ("b", "3"))
    texts = in_work_order(given, modality=Modality.TEXT)
    assert texts["item_id"].to_pylist() == [["i2"], ["i1", "i3"], ["i0"]]
    photos = in_work_order(given, modality=Modality.IMAGE)
    assert photos["item_id"].to_pylist() == [["i0"], ["i2"], ["i1", "i3"]]


def test_an_error_while_the_catalogue_is_looked_at_reaches_the_caller() -> None:
    def look(_: Callable[[pa.Table], None]) -> Contents:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        with_head_start(
            look, lambda _: [], table=ITEM_TEXT_EMBEDDING, modality=Modality.TEXT, batch_size=1
        )


def test_looking_ends_where_the_first_part_cannot_be_encoded() -> None:
    ended = Event()

    def look(found: Callable[[pa.Table], None]) -> Contents:
        found(contents(("a", "1")))
        try:
            while True:
                found(contents())
        finally:
            ended.set()

    def encode(_: Iterator[pa.Table]) -> list[Batch]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_head_start(
            look, encode, table=ITEM_TEXT_EMBEDDING, modality=Modality.TEXT, batch_size=1
        )
    assert ended.is_set()


def test_the_table_and_the_counts_are_those_without_a_head_start(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder(Modality.TEXT)
    result = run(home, encoder)
    assert (result.encoded, result.skipped, encoder.encoded) == (COUNT, 0, COUNT)
    # The head is whole batches of the first part, what is left is found as after a kill.
    assert result.modalities["text"].pace.batches == ITEMS_AT_ONCE // BATCH + 1
    with_head = home.feature_table(TEXTS).read_bytes()
    home.feature_table(TEXTS).unlink()
    monkeypatch.setattr(extracting, "ITEMS_AT_ONCE", COUNT)
    assert run(home, CountingEncoder(Modality.TEXT)).encoded == COUNT
    assert home.feature_table(TEXTS).read_bytes() == with_head
    again = CountingEncoder(Modality.TEXT)
    assert (run(home, again).skipped, again.encoded) == (COUNT, 0)


@pytest.mark.parametrize("dies_at", [3, ITEMS_AT_ONCE // BATCH + 1])
def test_a_kill_in_the_head_or_after_it_loses_one_batch(home: Home, dies_at: int) -> None:
    killed = CountingEncoder(Modality.TEXT, dies_at=dies_at)
    with pytest.raises(KeyboardInterrupt):
        run(home, killed)
    resumed = CountingEncoder(Modality.TEXT)
    assert run(home, resumed).encoded == COUNT - killed.encoded
    assert killed.encoded == (dies_at - 1) * BATCH
    rows = pq.read_table(home.feature_table(TEXTS), columns=["item_id"])["item_id"].to_pylist()
    assert rows == [f"i{n:05}" for n in range(COUNT)]


def test_a_photo_of_the_head_that_cannot_be_read_is_refused_once_for_each_item(home: Home) -> None:
    colours = ["red", "green", "blue", "black"]
    paths = [str(photo(home.photos / f"{colour}.png", colour)) for colour in colours]
    (home.photos / "red.png").write_bytes(b"no photo")
    write_items(home, *({"item_id": f"i{n:05}", "image_path": paths[n % 4]} for n in range(COUNT)))
    encoder = CountingEncoder(Modality.IMAGE)
    result = run(home, encoder)
    assert (result.encoded, result.quarantined) == (COUNT * 3 // 4, COUNT // 4)
    rows = pq.read_table(home.feature_table(PHOTOS), columns=["item_id"])["item_id"].to_pylist()
    assert rows == [f"i{n:05}" for n in range(COUNT) if n % 4]

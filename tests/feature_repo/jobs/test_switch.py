"""Two encoders in one state: what serves is one of them, whole, and never a mixture."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo import encoder_tables
from feature_repo.encoder_tables import encoder_records, served_hash
from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.errors import JobError, StoreError
from feature_repo.feature_tables import create_missing
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import encode_items, extract, serving_name
from feature_repo.jobs.materialize import materialize
from feature_repo.jobs.switch import Filled, take_back, use_encoder
from feature_repo.offline_tables import read_vectors
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, CountingEncoder, at, photo, write_chairs
from validation import quarantine

VIEW = "item_image_embedding"
COLOURS = {"a": "red", "b": "green", "c": "blue", "d": "purple"}
OLD, NEW = "hash-image-1", "hash-image-2"
FEATURES = [f"{VIEW}:embedding", f"{VIEW}:encoder_hash"]


class Tenfold(CountingEncoder):
    """Another space of the same width: nothing but the hash tells it apart."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Modality.IMAGE, version="2", **options)
        self.id = "tenfold"

    def forward(self, prepared: Any) -> FloatMatrix:
        return super().forward(prepared) * 10


def old() -> CountingEncoder:
    return CountingEncoder(Modality.IMAGE)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    write_chairs(home, COLOURS)
    fill(home, old())
    return home


def fill(home: Home, encoder: CountingEncoder, **options: Any) -> Any:
    result = extract(home=home, now=NOW, image_encoder=encoder, text_encoder=None, **options)
    return result.modalities["image"]


def hashes(home: Home) -> set[str]:
    return set(pq.read_table(home.feature_table(VIEW))["encoder_hash"].to_pylist())


def online(home: Home, *items: str) -> list[tuple[Any, Any]]:
    rows = Store(home).online(FEATURES, [{"item_id": item} for item in items])
    return [(row[f"{VIEW}__embedding"], row[f"{VIEW}__encoder_hash"]) for row in rows]


def test_a_switch_serves_the_other_encoders_rows_and_back_again(home: Home) -> None:
    before = read_vectors(home, VIEW).matrix
    fill(home, Tenfold())
    assert served_hash(home, VIEW) == OLD
    done = use_encoder("tenfold", home=home, now=NOW)
    assert (done.encoder.hash, done.instead_of, asdict(done.filled)) == (
        NEW,
        "counting-image",
        {"done": 4, "refused": 0, "missing": 0},
    )
    np.testing.assert_array_equal(read_vectors(home, VIEW).matrix, 10 * before)
    assert (hashes(home), served_hash(home, VIEW)) == ({NEW}, NEW)
    back = take_back(home=home, now=NOW)
    assert (back.encoder.name, back.instead_of) == ("counting-image", "tenfold")
    np.testing.assert_array_equal(read_vectors(home, VIEW).matrix, before)
    with pytest.raises(JobError, match="no switch is left to take back"):
        take_back(home=home, now=NOW)


def test_there_is_no_way_back_to_rows_that_were_deleted(home: Home) -> None:
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    home.encoder_table(VIEW, OLD).unlink()
    home.encoder_record(VIEW, OLD).unlink()
    with pytest.raises(
        JobError, match="rows of encoder hash-image-1, which served before, are gone"
    ):
        take_back(home=home, now=NOW)
    assert hashes(home) == {NEW}


def test_it_is_refused_while_rows_are_missing_and_says_how_many_and_what_to_run(
    home: Home,
) -> None:
    fill(home, Tenfold(), item_ids=["a", "b"])
    told = r"has rows of 2 of 4 images and lacks 2; run `coldstart extract --image-encoder tenfold`"
    with pytest.raises(JobError, match=told):
        use_encoder("tenfold", home=home, now=NOW)
    assert hashes(home) == {OLD}
    fill(home, Tenfold())
    photo(home.photos / "a.png", "white")  # its row is of the photo before
    with pytest.raises(JobError, match="lacks 1"):
        use_encoder("tenfold", home=home, now=NOW)


def test_a_photo_that_cannot_be_read_does_not_hold_a_switch_up(home: Home) -> None:
    (home.photos / "c.png").write_bytes(b"no photo")
    fill(home, old())
    fill(home, Tenfold())
    assert list(quarantine.load(home.quarantine, VIEW)["key"]) == ["c"]
    assert use_encoder("tenfold", home=home, now=NOW).filled == Filled(3, 1, 0)
    assert list(quarantine.load(home.quarantine, VIEW)["key"]) == ["c"]
    fill(home, Tenfold())
    assert len(quarantine.load(home.quarantine, VIEW)) == 1


def test_what_one_encoder_cannot_use_is_not_held_against_the_other(home: Home) -> None:
    class Blind(Tenfold):
        def forward(self, prepared: Any) -> FloatMatrix:
            return super().forward(prepared) * 0

    blind = fill(home, Blind())
    assert (blind.quarantined, blind.serves) == (4, False)
    assert quarantine.load(home.quarantine, VIEW).empty
    assert use_encoder(NEW, home=home, now=NOW).filled == Filled(0, 4, 0)
    assert len(quarantine.load(home.quarantine, VIEW)) == 4
    take_back(home=home, now=NOW)
    assert quarantine.load(home.quarantine, VIEW).empty


def test_new_listings_after_a_switch_are_told_of_when_it_is_taken_back(home: Home) -> None:
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    write_chairs(home, {**COLOURS, "e": "yellow"})
    assert fill(home, Tenfold()).encoded == 1
    assert take_back(home=home, now=NOW).filled == Filled(4, 0, 1)
    assert fill(home, old()).encoded == 1
    assert hashes(home) == {OLD}


def test_a_switch_that_dies_before_its_one_step_changes_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, Tenfold())
    with monkeypatch.context() as patched:
        patched.setattr(encoder_tables.os, "replace", killed_at(home.feature_table(VIEW)))
        with pytest.raises(KeyboardInterrupt):
            use_encoder("tenfold", home=home, now=NOW)
    assert (hashes(home), served_hash(home, VIEW)) == ({OLD}, OLD)
    with pytest.raises(JobError, match="no switch is left"):
        take_back(home=home, now=NOW)
    use_encoder("tenfold", home=home, now=NOW)
    assert hashes(home) == {NEW}
    assert take_back(home=home, now=NOW).encoder.hash == OLD


def killed_at(path: Path) -> Any:
    import os

    replace = os.replace

    def dying(source: Any, target: Any) -> None:
        if Path(target) == path:
            raise KeyboardInterrupt("killed")
        replace(source, target)

    return dying


def test_names_that_mean_none_several_or_the_one_that_serves_are_refused(home: Home) -> None:
    with pytest.raises(JobError, match=r"minilm has no rows here \(extracted are: counting-image"):
        use_encoder("minilm", home=home, now=NOW)
    with pytest.raises(JobError, match="hash has no rows here"):
        use_encoder("hash", home=home, now=NOW)
    with pytest.raises(JobError, match="counting-image serves already"):
        use_encoder("counting-image", home=home, now=NOW)
    for version in ("3", "4"):
        fill(home, CountingEncoder(Modality.IMAGE, version=version))
    with pytest.raises(JobError, match=r"means 2 encoders: .*give the hash of one"):
        use_encoder("counting-image", home=home, now=NOW)
    assert use_encoder("hash-image-4", home=home, now=NOW).encoder.hash == "hash-image-4"


def test_drift_is_looked_for_within_an_encoders_own_rows(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from validation import gate

    compared: list[Any] = []
    check = gate.check_embeddings

    def recorded(frame: Any, **options: Any) -> Any:
        compared.append(options["reference"])
        return check(frame, **options)

    monkeypatch.setattr(gate, "check_embeddings", recorded)
    fill(home, Tenfold(), item_ids=["a", "b"])
    fill(home, Tenfold())
    assert compared[0] is None
    assert compared[1].shape == (2, 3)
    assert compared[1].min() >= 10  # Tenfold's smallest number


@pytest.fixture
def store(home: Home) -> Store:
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    materialize(home=home, store=store)
    return store


def test_feast_serves_one_encoder_offline_and_online(home: Home, store: Store) -> None:
    asked = pd.DataFrame({"item_id": list("abcd"), "event_timestamp": at("2024-05-01")})
    fill(home, Tenfold())
    assert set(store.historical(asked, FEATURES)[f"{VIEW}__encoder_hash"]) == {OLD}
    use_encoder("tenfold", home=home, now=NOW)
    assert set(store.historical(asked, FEATURES)[f"{VIEW}__encoder_hash"]) == {NEW}
    assert {made_by for _, made_by in online(home, *"abcd")} == {OLD}
    assert next(view for view in store.registered().views if view.name == VIEW).stale
    materialize(home=home, store=store)
    assert {made_by for _, made_by in online(home, *"abcd")} == {NEW}
    assert not next(view for view in store.registered().views if view.name == VIEW).stale
    take_back(home=home, now=NOW)
    materialize(home=home, store=store)
    assert {made_by for _, made_by in online(home, *"abcd")} == {OLD}


def test_what_the_new_encoder_has_no_row_of_is_forgotten_online(home: Home, store: Store) -> None:
    (home.photos / "d.png").write_bytes(b"no photo")
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    assert online(home, "d")[0][1] == OLD
    materialize(home=home, store=store)
    assert online(home, "d") == [(None, None)]
    assert online(home, "a")[0][1] == NEW


def test_rows_that_a_service_with_the_old_encoder_pushes_stay_apart(
    home: Home, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    materialize(home=home, store=store)
    write_chairs(home, {**COLOURS, "e": "yellow"})
    items = pq.read_table(home.items).to_pandas()
    rows, _ = encode_items(items[items["item_id"] == "e"], encoder=old(), now=NOW)
    with caplog.at_level("WARNING"):
        store.push(VIEW, rows, now=NOW)
    assert (
        "1 of 1 rows of item_image_embedding are of an encoder that does not serve" in caplog.text
    )
    assert hashes(home) == {NEW}
    assert online(home, "e") == [(None, None)]
    rows, _ = encode_items(items[items["item_id"] == "e"], encoder=Tenfold(), now=NOW)
    store.push(VIEW, rows, now=NOW)
    assert online(home, "e")[0][1] == NEW
    assert take_back(home=home, now=NOW).filled == Filled(5, 0, 0)


def test_a_table_from_elsewhere_that_mixes_encoders_is_refused_and_mended_by_extraction(
    home: Home,
) -> None:
    fill(home, Tenfold())
    parts = [pq.read_table(home.feature_table(VIEW)), pq.read_table(home.encoder_table(VIEW, NEW))]
    pq.write_table(
        pa.concat_tables([parts[0].slice(0, 2), parts[1].slice(2)]), home.feature_table(VIEW)
    )
    with pytest.raises(StoreError, match="mixes the rows of 2 encoders"):
        read_vectors(home, VIEW)
    assert fill(home, old()).encoded == 2
    assert hashes(home) == {OLD}
    assert list(read_vectors(home, VIEW).item_ids) == list("abcd")


def test_plain_extract_goes_on_with_the_encoder_that_serves(home: Home, tmp_path: Path) -> None:
    assert serving_name(Home(tmp_path / "empty"), Modality.TEXT) == "minilm"
    assert serving_name(home, Modality.IMAGE) == "counting-image"
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    assert serving_name(home, Modality.IMAGE) == "tenfold"
    assert [one.id for one in encoder_records(home, Modality.IMAGE)] == [
        "counting-image",
        "tenfold",
    ]


def test_a_state_without_records_names_its_encoder_by_its_rows(home: Home) -> None:
    home.encoder_record(VIEW, OLD).unlink()
    (record,) = encoder_records(home, Modality.IMAGE)
    assert (record.name, record.hash) == ("counting-image", OLD)
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    assert take_back(home=home, now=NOW).encoder.name == "counting-image"


def test_a_state_that_serves_nothing_yet_takes_the_first_encoder(tmp_path: Path) -> None:
    home = Home(tmp_path / "state")
    write_chairs(home, COLOURS)
    create_missing(home)
    assert served_hash(home, VIEW) is None
    assert fill(home, Tenfold()).serves
    assert hashes(home) == {NEW}


def test_a_copy_of_a_state_that_follows_links_serves_the_same_and_switches(
    home: Home, tmp_path: Path
) -> None:
    fill(home, Tenfold())
    use_encoder("tenfold", home=home, now=NOW)
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    assert not copy.feature_table(VIEW).is_symlink()
    assert served_hash(copy, VIEW) == NEW
    assert fill(copy, Tenfold()).skipped == 4
    assert take_back(home=copy, now=NOW).encoder.hash == OLD
    assert (hashes(copy), hashes(home)) == ({OLD}, {NEW})

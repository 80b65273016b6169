"""Models are stored with their contract, found again, and refused where features differ."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coldstart_models.artifacts import (
    Contract,
    ObservedFeatures,
    check_contract,
    find_model,
    list_models,
    observe_features,
    save_model,
)
from coldstart_models.errors import ArtifactError, ContractMismatch
from feature_repo.home import Home

CONTRACT = Contract(
    feature_service="recommender_v1",
    image_encoder="efficientnet-lite0",
    image_encoder_hash="aaa",
    text_encoder="minilm-l6",
    text_encoder_hash="bbb",
    vector_width=64,
    code_version="0.1.0",
    trained_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    sources=("marketplace",),
    columns=("user_history:history_item_ids",),
)
OBSERVED = ObservedFeatures(
    "efficientnet-lite0",
    "aaa",
    "minilm-l6",
    "bbb",
    frozenset({"user_history:history_item_ids", "user_history:user_id"}),
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def folder(tmp_path: Path, *, text: str = "weights") -> Path:
    made = tmp_path / "model"
    (made / "tower").mkdir(parents=True, exist_ok=True)
    (made / "tower" / "weights.safetensors").write_text(text)
    return made


def test_a_saved_model_is_found_with_its_files_contract_and_metadata(
    home: Home, tmp_path: Path
) -> None:
    tag = save_model(
        folder(tmp_path), contract=CONTRACT, metadata={"ndcg": 0.5, "auc": None}, home=home
    )

    stored = find_model(home)

    assert stored.tag == tag
    assert tag.startswith("coldstart-siamese:")
    assert (stored.path / "tower" / "weights.safetensors").read_text() == "weights"
    assert stored.contract == CONTRACT
    assert stored.metadata == {"ndcg": 0.5, "auc": None}


def test_latest_is_the_most_recently_saved_and_older_ones_stay(home: Home, tmp_path: Path) -> None:
    first = save_model(folder(tmp_path, text="1"), contract=CONTRACT, metadata={}, home=home)
    second = save_model(folder(tmp_path, text="2"), contract=CONTRACT, metadata={}, home=home)

    assert find_model(home).tag == second
    assert [model.tag for model in list_models(home)] == [first, second]
    assert find_model(home, tag=first).tag == first
    assert find_model(home, tag=first.partition(":")[2]).tag == first


def test_a_home_without_a_model_says_to_train(home: Home) -> None:
    assert list_models(home) == []
    with pytest.raises(ArtifactError, match=r"no model in .*; run `coldstart train`"):
        find_model(home)


def test_an_unknown_version_names_the_ones_there_are(home: Home, tmp_path: Path) -> None:
    tag = save_model(folder(tmp_path), contract=CONTRACT, metadata={}, home=home)
    with pytest.raises(ArtifactError, match=f"the newest of them {tag}"):
        find_model(home, tag="nosuchversion")


def test_an_empty_folder_is_not_saved(home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="not a folder with model files"):
        save_model(tmp_path / "empty", contract=CONTRACT, metadata={}, home=home)
    assert list_models(home) == []


def test_what_an_interrupted_save_left_is_not_a_model(home: Home, tmp_path: Path) -> None:
    tag = save_model(folder(tmp_path), contract=CONTRACT, metadata={}, home=home)
    (home.models / "models" / "coldstart-siamese" / "halfway").mkdir()

    assert [model.tag for model in list_models(home)] == [tag]
    assert find_model(home).tag == tag


def test_metadata_that_is_not_json_is_refused_and_nothing_is_saved(
    home: Home, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="cannot save"):
        save_model(folder(tmp_path), contract=CONTRACT, metadata={"at": object()}, home=home)
    assert list_models(home) == []


def test_the_same_features_keep_the_contract() -> None:
    check_contract(CONTRACT, OBSERVED)


def test_a_mismatch_names_every_field_that_differs() -> None:
    observed = replace(
        OBSERVED, image_encoder_hash="zzz", text_encoder=None, columns=frozenset[str]()
    )
    with pytest.raises(ContractMismatch) as raised:
        check_contract(CONTRACT, observed)
    message = str(raised.value)
    assert "image_encoder_hash: the model was trained on 'aaa', the store holds 'zzz'" in message
    assert "text_encoder: the model was trained on 'minilm-l6', the store holds None" in message
    assert "columns: the store lacks user_history:history_item_ids" in message
    assert "image_encoder:" not in message


def test_a_model_without_photos_does_not_mind_the_photos_encoder() -> None:
    contract = replace(CONTRACT, image_encoder="", image_encoder_hash="")
    check_contract(contract, OBSERVED)


def test_an_unregistered_feature_service_is_a_mismatch() -> None:
    observed = replace(OBSERVED, feature_services=frozenset({"recommender_v2"}))
    with pytest.raises(ContractMismatch, match="the registry holds recommender_v2"):
        check_contract(CONTRACT, observed)


def test_the_tables_tell_their_encoder_and_columns(home: Home) -> None:
    home.features.mkdir(parents=True)
    table = pa.table({"item_id": ["a", "b"], "encoder": ["e", "e"], "encoder_hash": ["h", "h"]})
    pq.write_table(table, home.feature_table("item_image_embedding"))

    observed = observe_features(home)

    assert (observed.image_encoder, observed.image_encoder_hash) == ("e", "h")
    assert (observed.text_encoder, observed.text_encoder_hash) == (None, None)
    assert "item_image_embedding:encoder" in observed.columns


def test_a_contract_written_by_another_version_is_refused() -> None:
    values = CONTRACT.to_json()
    assert Contract.from_json(values) == CONTRACT
    del values["columns"]
    with pytest.raises(ArtifactError, match="missing or unknown: columns"):
        Contract.from_json(values)


@pytest.mark.slow
def test_plain_bentoml_lists_the_same_models(home: Home, tmp_path: Path) -> None:
    tag = save_model(folder(tmp_path), contract=CONTRACT, metadata={}, home=home)
    listed = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list", "-o", "json"],
        env={**os.environ, "BENTOML_HOME": str(home.models), "BENTOML_DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert tag in listed.stdout


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_corrupt_model_is_refused_with_the_file_and_what_to_do(
    home: Home, tmp_path: Path, damage: str
) -> None:
    save_model(folder(tmp_path), contract=CONTRACT, metadata={}, home=home)
    stored = find_model(home)
    stored.require_whole()
    path = stored.path / "tower" / "weights.safetensors"
    path.chmod(0o644)
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("weig" if damage == "cut" else "wEights")

    with pytest.raises(ArtifactError, match=r"is corrupt: tower/weights\.safetensors") as raised:
        find_model(home).require_whole()
    assert stored.tag in str(raised.value)
    assert "COLDSTART_MODEL" in str(raised.value)


def test_a_model_of_an_earlier_release_has_no_checksums_and_is_taken(
    home: Home, tmp_path: Path
) -> None:
    save_model(folder(tmp_path), contract=CONTRACT, metadata={}, home=home)
    replace(find_model(home), files={}).require_whole()

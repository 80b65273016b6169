"""Encoders loaded from folders: tiny models built from config and saved there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from feature_repo.encoders.folder import FolderConfig, save_folder_encoder
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "sofa", "lamp", "blue"]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(words), intermediate_size=8, **shape)).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    folder = tmp_path_factory.mktemp("tiny-vit")
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ViTConfig(image_size=16, patch_size=8, intermediate_size=8, **shape)
    ViTModel(config).save_pretrained(folder)
    return folder


def colour(name: str) -> Image.Image:
    return Image.new("RGB", (20, 30), name)


def test_a_text_model_by_folder_pools_only_real_tokens(text_model: Path) -> None:
    encoder = load_encoder(f"hf-text:{text_model}", device="cpu")
    assert (encoder.width, encoder.id) == (8, f"hf-text:{text_model.name}")
    together = encoder.encode(["red", "blue lamp red sofa sofa"])
    np.testing.assert_allclose(together[0], encoder.encode(["red"])[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    red, blue = encoder.encode(["red", "blue"])
    assert not np.allclose(red, blue)  # its words are known to it


def test_an_image_model_by_folder_uses_its_own_preprocessing(image_model: Path) -> None:
    encoder = load_encoder("hf-image", path=image_model, device="cpu")
    vectors = encoder.encode([colour("red"), colour("blue")])
    assert (vectors.shape, encoder.width) == ((2, 8), 8)
    assert not np.allclose(vectors[0], vectors[1])


def test_the_hash_changes_with_the_weights(text_model: Path, tmp_path: Path) -> None:
    from transformers import BertModel

    before = load_encoder(f"hf-text:{text_model}", device="cpu").hash
    assert load_encoder(f"hf-text:{text_model}", device="cpu").hash == before
    changed = tmp_path / text_model.name
    changed.mkdir()
    for path in text_model.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    model = BertModel.from_pretrained(changed)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight += 1
    model.save_pretrained(changed)
    assert load_encoder(f"hf-text:{changed}", device="cpu").hash != before


def test_a_folder_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    for kind in ("hf-text", "hf-image"):
        with pytest.raises(EncoderError, match="transformers can load"):
            load_encoder(f"{kind}:{tmp_path}")
    with pytest.raises(EncoderError, match="there is no folder"):
        load_encoder(f"hf-text:{tmp_path}/absent")


def test_an_artifact_with_a_head_projects_its_base(text_model: Path, tmp_path: Path) -> None:
    base = load_encoder(f"hf-text:{text_model}", device="cpu")
    weight, bias = torch.randn(3, 8), torch.randn(3)
    save_folder_encoder(
        tmp_path / "adapted",
        config=FolderConfig(id="adapted", base=f"hf-text:{text_model}", licence="Apache-2.0"),
        head={"weight": weight, "bias": bias},
    )
    adapted = load_encoder(f"folder:{tmp_path / 'adapted'}", device="cpu")
    assert (adapted.id, adapted.width, adapted.modality) == ("adapted", 3, base.modality)
    expected = base.encode(["red sofa"]) @ weight.numpy().T + bias.numpy()
    np.testing.assert_allclose(adapted.encode(["red sofa"]), expected, atol=1e-6)
    assert adapted.hash != base.hash


def test_an_artifact_with_a_backbone_replaces_its_weights(
    image_model: Path, tmp_path: Path
) -> None:
    base = load_encoder(f"hf-image:{image_model}", device="cpu")
    state: dict[str, torch.Tensor] = getattr(base, "module").state_dict()  # noqa: B009
    retrained = {name: value + 0.1 for name, value in state.items()}
    config = FolderConfig(id="retrained", base=f"hf-image:{image_model}", licence="Apache-2.0")
    save_folder_encoder(tmp_path, config=config, backbone=retrained)
    adapted = load_encoder("folder", path=tmp_path, device="cpu")
    assert not np.allclose(adapted.encode([colour("red")]), base.encode([colour("red")]))


def test_an_artifact_written_over_another_keeps_nothing_of_it(
    image_model: Path, tmp_path: Path
) -> None:
    config = FolderConfig(id="x", base=f"hf-image:{image_model}", licence="Apache-2.0")
    base = load_encoder(f"hf-image:{image_model}", device="cpu")
    state: dict[str, torch.Tensor] = getattr(base, "module").state_dict()  # noqa: B009
    retrained = {name: value + 0.1 for name, value in state.items()}
    head = {"weight": torch.randn(3, 8), "bias": torch.randn(3)}
    save_folder_encoder(tmp_path / "x", config=config, backbone=retrained)
    save_folder_encoder(tmp_path / "x", config=config, head=head)
    save_folder_encoder(tmp_path / "fresh", config=config, head=head)
    over, fresh = (
        load_encoder(f"folder:{tmp_path / name}", device="cpu") for name in ("x", "fresh")
    )
    assert over.hash == fresh.hash
    expected = base.encode([colour("red")]) @ head["weight"].numpy().T + head["bias"].numpy()
    np.testing.assert_allclose(over.encode([colour("red")]), expected, atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "config.json",
        "head.safetensors",
    ]


def test_a_writer_that_dies_over_an_artifact_leaves_none_and_no_mixture(
    text_model: Path, tmp_path: Path
) -> None:
    config = FolderConfig(id="x", base=f"hf-text:{text_model}", licence="Apache-2.0")
    head = {"weight": torch.randn(3, 8), "bias": torch.randn(3)}
    save_folder_encoder(tmp_path, config=config, head=head)
    shared = torch.zeros(3, 8)
    with pytest.raises(RuntimeError, match="share memory"):
        save_folder_encoder(
            tmp_path, config=config, backbone={"a": torch.ones(2)}, head={"a": shared, "b": shared}
        )
    with pytest.raises(EncoderError, match=r"has no config\.json"):
        load_encoder(f"folder:{tmp_path}")
    save_folder_encoder(tmp_path, config=config, head=head)
    assert load_encoder(f"folder:{tmp_path}", device="cpu").width == 3


def test_artifacts_that_do_not_fit_are_refused(text_model: Path, tmp_path: Path) -> None:
    config = FolderConfig(id="x", base=f"hf-text:{text_model}", licence="Apache-2.0")
    with pytest.raises(EncoderError, match="needs a backbone, a head or both"):
        save_folder_encoder(tmp_path, config=config)
    with pytest.raises(EncoderError, match=r"has no config\.json"):
        load_encoder(f"folder:{tmp_path}")
    head = {"weight": torch.zeros(3, 9), "bias": torch.zeros(3)}
    save_folder_encoder(tmp_path, config=config, head=head)
    with pytest.raises(EncoderError, match=r"weight \(D, 8\)"):
        load_encoder(f"folder:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"id": "x"}))
    with pytest.raises(EncoderError, match="does not describe"):
        load_encoder(f"folder:{tmp_path}")

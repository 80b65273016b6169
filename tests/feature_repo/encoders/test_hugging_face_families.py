"""The families of Hugging Face models, each tiny, built from config and saved to a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from feature_repo.encoders import model_folders
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError

WORDS = ["red", "sofa", "lamp", "blue", "oak", "table"]
TOWER = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
PHOTO = {"image_size": 16, "patch_size": 8}
POSITIONS = 6
"""Tokens that the joint models' texts may have."""


def word_tokenizer(folder: Path, **names: str) -> None:
    """Every word one token, `[START] … [END]`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {
        word: at for at, word in enumerate(["[PAD]", "[UNK]", "[START]", "[END]", *WORDS])
    }
    rules = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.post_processor = processors.TemplateProcessing(
        single="[START] $A [END]", special_tokens=[("[START]", 2), ("[END]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=rules, pad_token="[PAD]", unk_token="[UNK]", **names
    ).save_pretrained(folder)


def save_vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    ViTModel(ViTConfig(**PHOTO, **TOWER)).save_pretrained(folder)


def save_vit_classifier(folder: Path) -> None:
    """As ImageNet classifiers are published: without the pooler that ViTModel has."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    ViTForImageClassification(ViTConfig(**PHOTO, **TOWER)).save_pretrained(folder)


def save_dinov2(folder: Path) -> None:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    BitImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)
    Dinov2Model(Dinov2Config(**PHOTO, **TOWER)).save_pretrained(folder)


def save_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    word_tokenizer(folder, eos_token="[END]", bos_token="[START]")
    CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)
    texts = {"vocab_size": 10, "max_position_embeddings": POSITIONS, "eos_token_id": 3, **TOWER}
    config = CLIPConfig(text_config=texts, vision_config={**PHOTO, **TOWER}, projection_dim=5)
    CLIPModel(config).save_pretrained(folder)


def save_siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    word_tokenizer(folder)
    SiglipImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    texts = {"vocab_size": 10, "max_position_embeddings": POSITIONS, **TOWER}
    SiglipModel(SiglipConfig(text_config=texts, vision_config={**PHOTO, **TOWER})).save_pretrained(
        folder
    )


SAVERS: dict[str, Callable[[Path], None]] = {
    "vit": save_vit,
    "vit-classifier": save_vit_classifier,
    "dinov2": save_dinov2,
    "clip": save_clip,
    "siglip": save_siglip,
}
WIDTHS = {"vit": 8, "vit-classifier": 8, "dinov2": 8, "clip": 5, "siglip": 8}
JOINT = ("clip", "siglip")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name, save in SAVERS.items():
        torch.manual_seed(0)
        found[name] = tmp_path_factory.mktemp(name)
        save(found[name])
    return found


def photo(colour: str) -> Image.Image:
    image = Image.new("RGB", (20, 30), colour)
    image.paste("white", (0, 0, 10, 10))
    return image


@pytest.mark.parametrize("name", SAVERS)
def test_every_family_encodes_photos_alike_each_time_it_is_loaded(
    folders: dict[str, Path], name: str
) -> None:
    encoder, again = (load_encoder(f"hf-image:{folders[name]}", device="cpu") for _ in range(2))
    vectors = encoder.encode([photo("red"), photo("blue")])
    assert (encoder.width, vectors.shape, vectors.dtype) == (
        WIDTHS[name],
        (2, WIDTHS[name]),
        np.float32,
    )
    assert not np.allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_array_equal(again.encode([photo("red"), photo("blue")]), vectors)
    assert again.hash == encoder.hash


def test_a_classifiers_photos_are_its_class_token_not_a_random_pooler(
    folders: dict[str, Path],
) -> None:
    from transformers import ViTForImageClassification, ViTImageProcessor

    folder = folders["vit-classifier"]
    pixels = ViTImageProcessor.from_pretrained(folder)(photo("red"), return_tensors="pt")
    with torch.inference_mode():
        states = ViTForImageClassification.from_pretrained(folder).eval().vit(**pixels)
    encoder = load_encoder(f"hf-image:{folder}", device="cpu")
    np.testing.assert_allclose(
        encoder.encode([photo("red")]), states.last_hidden_state[:, 0].numpy(), atol=1e-5
    )


@pytest.mark.parametrize("name", JOINT)
def test_a_joint_models_photos_and_texts_share_a_space(folders: dict[str, Path], name: str) -> None:
    images = load_encoder(f"hf-image:{folders[name]}", device="cpu")
    texts = load_encoder(f"hf-text:{folders[name]}", device="cpu")
    assert images.space == texts.space
    assert len({images.hash, texts.hash, images.space}) == 3
    assert images.width == texts.width == texts.encode(["red sofa"]).shape[1]
    alone = load_encoder(f"hf-image:{folders['vit']}", device="cpu")
    assert alone.space == alone.hash


@pytest.mark.parametrize("name", JOINT)
def test_a_text_longer_than_the_model_has_positions_is_cut(
    folders: dict[str, Path], name: str
) -> None:
    encoder = load_encoder(f"hf-text:{folders[name]}", device="cpu")
    long, longer = encoder.encode(["red sofa lamp blue oak", "red sofa lamp blue oak table red"])
    np.testing.assert_allclose(long, longer, atol=1e-5)
    assert not np.allclose(long, encoder.encode(["red sofa"])[0], atol=1e-6)


def test_siglips_texts_are_padded_to_the_full_length_as_it_learned_them(
    folders: dict[str, Path],
) -> None:
    from transformers import SiglipModel

    tokens = torch.tensor([[2, 4, 5, 3, 0, 0]])  # [START] red sofa [END] [PAD] [PAD]
    with torch.inference_mode():
        features: Any = SiglipModel.from_pretrained(folders["siglip"]).get_text_features(tokens)
    expected = torch.nn.functional.normalize(getattr(features, "pooler_output", features), dim=1)
    encoder = load_encoder(f"hf-text:{folders['siglip']}", device="cpu")
    np.testing.assert_allclose(encoder.encode(["red sofa"]), expected.numpy(), atol=1e-5)


def test_the_licence_is_what_the_models_card_says(folders: dict[str, Path], tmp_path: Path) -> None:
    assert (
        load_encoder(f"hf-image:{folders['vit']}", device="cpu").licence == "see the model's card"
    )
    save_vit(tmp_path)
    card = tmp_path / "README.md"
    before = load_encoder(f"hf-image:{tmp_path}", device="cpu").hash
    for front, told in (
        ("license: apache-2.0", "apache-2.0"),
        ("license: other\nlicense_name: apple-ascl", "apple-ascl"),
        ("tags: [vision]", "see the model's card"),
        ("no: [front", "see the model's card"),
    ):
        card.write_text(f"---\n{front}\n---\n# A model\n")
        encoder = load_encoder(f"hf-image:{tmp_path}", device="cpu")
        assert (encoder.licence, encoder.hash) == (told, before)


def test_a_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_vit(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    lacking = next(name for name in state if "attention" in name)
    del state[lacking]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="lacks 1 of the model's weights"):
        load_encoder(f"hf-image:{tmp_path}", device="cpu")


def test_a_sentence_transformer_is_pooled_as_its_folder_says(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    word_tokenizer(tmp_path)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=10, **TOWER)).save_pretrained(tmp_path)
    mean = load_encoder(f"hf-text:{tmp_path}", device="cpu")
    pooling = tmp_path / model_folders.POOLING
    pooling.parent.mkdir()
    vectors = {}
    for told in ('{"pooling_mode": "cls"}', '{"pooling_mode_cls_token": true}'):
        pooling.write_text(told)
        encoder = load_encoder(f"hf-text:{tmp_path}", device="cpu")
        vectors[told] = encoder.encode(["red sofa"])
        assert encoder.hash != mean.hash
    first, second = vectors.values()
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, mean.encode(["red sofa"]), atol=1e-6)
    pooling.write_text('{"pooling_mode": "lasttoken"}')
    with pytest.raises(EncoderError, match="another pooling than those known: mean and cls"):
        load_encoder(f"hf-text:{tmp_path}", device="cpu")


def test_of_a_model_that_reads_and_writes_the_reading_half_encodes(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    word_tokenizer(tmp_path)
    torch.manual_seed(0)
    shape = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=10, decoder_start_token_id=0, **shape)).save_pretrained(tmp_path)
    vectors = load_encoder(f"hf-text:{tmp_path}", device="cpu").encode(["red sofa", "blue lamp"])
    assert vectors.shape == (2, 8)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-6)


def cached_as(name: str, folder: Path, cache: Path) -> None:
    """Lay a folder into a hub cache as the hub's client does."""
    stored = cache / f"models--{name.replace('/', '--')}"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("0" * 40)
    snapshot = stored / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_hub_name_is_loaded_from_the_cache_and_is_the_same_encoder(
    folders: dict[str, Path], hub: Path
) -> None:
    cached_as("shop/tiny-clip", folders["clip"], hub)
    encoder = load_encoder("hf-image:shop/tiny-clip", device="cpu")
    assert encoder.id == "hf-image:shop/tiny-clip"
    assert encoder.hash == load_encoder(f"hf-image:{folders['clip']}", device="cpu").hash


@pytest.mark.parametrize("kind", ["hf-image", "hf-text"])
def test_a_hub_name_that_is_not_cached_says_how_to_fetch_it(hub: Path, kind: str) -> None:
    with pytest.raises(EncoderError, match=r"cannot be fetched.*run `hf download shop/absent"):
        load_encoder(f"{kind}:shop/absent")
    with pytest.raises(EncoderError, match="cannot be fetched"):
        load_encoder(f"{kind}:not a name!")

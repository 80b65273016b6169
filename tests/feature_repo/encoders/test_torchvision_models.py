"""Networks of torchvision with seeded random weights, saved to a path and loaded from it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from feature_repo.encoders import torchvision_models
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError

WIDTHS = {
    "squeezenet1_1": 512,
    "mobilenet_v3_small": 1024,
    "shufflenet_v2_x0_5": 1024,
    "densenet121": 1024,
    "regnet_x_400mf": 400,
    "vit_b_32": 768,
}
"""One network of each way to end in a classifier → the width without it."""


def saved(folder: Path, name: str, *, seed: int = 0, classes: int = 7) -> Path:
    torch.manual_seed(seed)
    network = torchvision.models.get_model(name, weights=None, num_classes=classes)
    torch.save(network.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"


def photo(colour: str, *, width: int = 60) -> Image.Image:
    image = Image.new("RGB", (width, 40), "white")
    image.paste(colour, (0, 0, 20, 40))
    return image


@pytest.mark.parametrize("name", WIDTHS)
def test_a_network_without_its_classifier_gives_a_row_a_photo(tmp_path: Path, name: str) -> None:
    encoder = load_encoder(f"torchvision:{name}:{saved(tmp_path, name)}", device="cpu")
    vectors = encoder.encode([photo("red"), photo("blue", width=200), photo("red")])
    assert (encoder.id, encoder.width) == (f"torchvision:{name}", WIDTHS[name])
    assert (vectors.shape, vectors.dtype) == ((3, WIDTHS[name]), np.float32)
    same, other = (np.linalg.norm(vectors[0] - vectors[row]) for row in (2, 1))
    assert same < 0.01 * other
    assert encoder.modality is Modality.IMAGE


def test_the_vectors_are_what_the_classifier_was_given(tmp_path: Path) -> None:
    path = saved(tmp_path, "regnet_x_400mf")
    encoder = load_encoder("torchvision:regnet_x_400mf", path=path, device="cpu")
    whole = torchvision.models.regnet_x_400mf(num_classes=7)
    whole.load_state_dict(torch.load(path))
    given: list[torch.Tensor] = []
    whole.fc.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    transforms = torchvision.models.RegNet_X_400MF_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        whole.eval()(transforms(photo("red"))[None])
    assert given[0].abs().max() > 1e-3
    np.testing.assert_allclose(encoder.encode([photo("red")]), given[0].numpy(), atol=1e-5)


def test_the_hash_names_weights_and_network(tmp_path: Path) -> None:
    path = saved(tmp_path, "squeezenet1_1")
    name = f"torchvision:squeezenet1_1:{path}"
    first = load_encoder(name, device="cpu").hash
    assert load_encoder(name, device="cpu").hash == first
    saved(tmp_path, "squeezenet1_1", seed=1)
    assert load_encoder(name, device="cpu").hash != first


def test_weights_in_the_cache_must_be_what_their_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(EncoderError, match=r"no weights of squeezenet1_1 in .*give its path"):
        load_encoder("torchvision:squeezenet1_1")
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    saved(cache, "squeezenet1_1").rename(cache / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(EncoderError, match="expected b8a52dc0: the weights are not the pinned"):
        load_encoder("torchvision:squeezenet1_1")


def test_published_weights_state_the_licence_that_torchvision_names(tmp_path: Path) -> None:
    swag = torchvision_models.published("vit_h_14", Path("vit_h_14_lc_swag-c1eb923e.pth"))
    assert "SWAG" in swag.meta["license"]
    own = load_encoder(f"torchvision:squeezenet1_1:{saved(tmp_path, 'squeezenet1_1')}")
    assert own.licence == "not stated"


def test_files_of_an_old_densenet_still_load(tmp_path: Path) -> None:
    path = saved(tmp_path, "densenet121")
    before = load_encoder(f"torchvision:densenet121:{path}", device="cpu").encode([photo("red")])
    state = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for key, value in torch.load(path).items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch.save(state, path)
    after = load_encoder(f"torchvision:densenet121:{path}", device="cpu").encode([photo("red")])
    np.testing.assert_array_equal(before, after)


def test_a_file_that_does_not_fit_and_an_unknown_network_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "squeezenet1_1")
    with pytest.raises(EncoderError, match="is not a shufflenet_v2_x0_5 of torchvision"):
        load_encoder(f"torchvision:shufflenet_v2_x0_5:{path}")
    path.write_bytes(b"no weights")
    with pytest.raises(EncoderError, match="is not a squeezenet1_1 of torchvision"):
        load_encoder(f"torchvision:squeezenet1_1:{path}")
    with pytest.raises(EncoderError, match="no squeezenet1_1 weights at"):
        load_encoder(f"torchvision:squeezenet1_1:{tmp_path}/absent.pth")
    with pytest.raises(EncoderError, match="did you mean 'resnet50'"):
        load_encoder("torchvision:resnet5")
    with pytest.raises(EncoderError, match="torchvision:NAME"):
        load_encoder("torchvision")

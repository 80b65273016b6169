"""What only a GPU can show: copies that overlap, bfloat16, nvJPEG, and a whole extraction there."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import FloatMatrix, stages_of
from feature_repo.encoders.images import ImageInput, TorchImageEncoder, white_square, white_squares
from feature_repo.encoders.jpegs import DeviceJpegs, device_jpegs, plain_jpeg
from feature_repo.encoders.registry import load_encoder
from feature_repo.encoders.running import BFLOAT16, FLOAT32, Runner
from feature_repo.jobs.pipeline import encoded
from feature_repo.jobs.worklist import WORK
from tests.feature_repo.encoders.test_hugging_face_families import save_clip, save_siglip, save_vit
from tests.feature_repo.encoders.test_torchvision_models import saved as random_weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

SIZE = 96


def encoder(device: str, **options: Any) -> TorchImageEncoder:
    """The same untrained network on any device."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for channels in (3, 32, 32):
        layers += [torch.nn.Conv2d(channels, 32, 3, stride=2, padding=1), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    made = TorchImageEncoder(
        network,
        name="small",
        width=128,
        licence="Apache-2.0",
        weights_hash="0",
        preprocessing=ImageInput(size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3),
        device=device,
    )
    if options:
        made.runner = made.runner.changed(**options)
    return made


def scene(number: int, size: tuple[int, int] = (180, 120)) -> Image.Image:
    """A smooth photo with an edge, as JPEG keeps it well."""
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    pixels = np.stack([across, down, (across + number * 7) % 200], axis=2).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (200, 30, number % 256)
    return Image.fromarray(pixels)


class Slowly(torch.nn.Module):
    """Much computation, of which little comes: two networks differ no more than their rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2048, 2048)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + 0.01 * torch.relu(self.layer(inputs))


def saved(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        scene(number, (100 + number % 7 * 20, 90 + number % 5 * 20)).save(path, quality=92)
    return paths


def cosines(ours: FloatMatrix, theirs: FloatMatrix) -> FloatMatrix:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray((ours * theirs).sum(axis=1) / lengths, np.float32)


def squares(count: int) -> list[np.ndarray]:
    return [white_square(scene(number), size=SIZE) for number in range(count)]


def test_vectors_are_those_of_the_processor_and_bfloat16_keeps_their_direction() -> None:
    exact = encoder("cpu").forward(squares(9))
    whole = encoder("cuda", precision=FLOAT32)
    half = encoder("cuda")
    assert half.runner.precision == BFLOAT16
    assert whole.hash == half.hash == encoder("cpu").hash
    assert cosines(whole.forward(squares(9)), exact).min() > 0.99999
    assert cosines(half.forward(squares(9)), exact).min() > 0.999


@pytest.mark.slow
def test_compiled_vectors_are_those_of_the_plain_module() -> None:
    compiled, plain = encoder("cuda", compiled=True), encoder("cuda")
    for count in (9, 4):
        assert cosines(compiled.forward(squares(count)), plain.forward(squares(count))).min() > 0.99


def test_a_staged_batch_is_read_after_it_arrived() -> None:
    runner = Runner(lambda inputs: inputs, device="cuda")
    busy = torch.rand(4096, 4096, device="cuda")
    for number in range(20):
        batch = torch.full((64, 512, 512), float(number))
        busy @ busy
        assert runner.stage(batch).ready().mean().item() == number


def test_batches_under_way_together_are_what_each_is_by_itself() -> None:
    runner = Runner(lambda inputs: inputs.flatten(1).sum(dim=1, keepdim=True), device="cuda")
    generator = torch.Generator().manual_seed(0)
    batches = [torch.rand(256, 3, 64, 64, generator=generator) for _ in range(40)]
    with ThreadPoolExecutor(1) as pool:
        staged = list(pool.map(runner.stage, batches))
        found = [runner.launch(one) for one in staged]
    for batch, one in zip(batches, found, strict=True):
        expected = batch.flatten(1).sum(dim=1, keepdim=True).numpy()
        np.testing.assert_allclose(runner.fetch(one), expected, rtol=0.02)


@pytest.mark.parametrize("size", [(180, 120), (120, 180), (96, 96), (600, 40), (1400, 1000)])
def test_photos_decoded_by_nvjpeg_are_those_of_pillow_up_to_a_few_levels(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    scene(1, size).save(path, quality=92)
    jpegs = device_jpegs(partial(white_squares, size=SIZE), device="cuda")
    assert jpegs is not None
    jpeg = plain_jpeg(path)
    assert jpeg is not None
    (square,) = jpegs.finished([jpeg])
    assert isinstance(square, torch.Tensor)
    off = np.abs(square.cpu().numpy().astype(int) - white_square(open_photo(path), size=SIZE))
    assert (off.mean(), np.percentile(off, 95)) < (1.5, 12)


def test_the_pipeline_gives_each_photo_the_vector_it_has_alone(tmp_path: Path) -> None:
    paths = saved(tmp_path, 300)
    Image.new("RGB", (50, 80), "red").save(tmp_path / "other.png")
    paths.append(tmp_path / "other.png")
    rows = [
        {
            "value": [str(path)],
            "content_hash": path.name,
            "item_id": [path.name],
            "event_timestamp": [None],
            "source": ["shop"],
        }
        for path in paths
    ]
    batches = [
        pa.Table.from_pylist(rows[first : first + 16], schema=WORK)
        for first in range(0, len(rows), 16)
    ]
    small = encoder("cuda")
    with ThreadPoolExecutor(4) as pool:
        done = list(encoded(batches, encoder=small, pool=pool))
    assert [one.refused for one in done] == [[]] * len(batches)
    found = np.concatenate([one.vectors for one in done])
    alone = encoder("cpu").encode([open_photo(path) for path in paths])
    assert cosines(found, alone).min() > 0.995


def test_jpegs_are_decoded_alike_on_either_device(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 1)
    on_gpu, on_processor = (
        DeviceJpegs(partial(white_squares, size=SIZE), device=name) for name in ("cuda", "cpu")
    )
    jpeg = on_gpu.read(path)
    assert jpeg is not None
    ours, theirs = (one.finished([jpeg])[0] for one in (on_gpu, on_processor))
    assert isinstance(ours, torch.Tensor)
    assert isinstance(theirs, torch.Tensor)
    off = (ours.cpu().int() - theirs.int()).abs().float()
    assert off.mean() < 1.5


def test_stages_are_the_encoders_own() -> None:
    small = encoder("cuda")
    assert (id(stages_of(small)), small.lag) == (id(small), 1)


@pytest.mark.parametrize("kind", ["torchvision", "vit", "clip", "siglip"])
def test_models_with_preprocessing_of_their_own_do_it_on_the_gpu(tmp_path: Path, kind: str) -> None:
    if kind == "torchvision":
        name = f"torchvision:squeezenet1_1:{random_weights(tmp_path, 'squeezenet1_1')}"
    else:
        {"vit": save_vit, "clip": save_clip, "siglip": save_siglip}[kind](tmp_path / kind)
        name = f"hf-image:{tmp_path / kind}"
    on_gpu, on_processor = (load_encoder(name, device=device) for device in ("cuda", "cpu"))
    paths = saved(tmp_path, 12)
    decoded = on_gpu.decoded([on_gpu.read(path) for path in paths])  # type: ignore[attr-defined]
    assert all(isinstance(one, torch.Tensor) and one.is_cuda for one in decoded)
    expected = on_processor.encode([open_photo(path) for path in paths])
    assert cosines(on_gpu.forward(decoded), expected).min() > 0.98


def test_decoding_beside_a_long_computation_overwrites_nothing_of_it(tmp_path: Path) -> None:
    """Free memory that a model's kernels still have to write to is not decoded into."""
    torch.manual_seed(0)
    made = TorchImageEncoder(
        torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(3 * SIZE * SIZE, 2048),
            *[Slowly() for _ in range(60)],
        ),
        name="large",
        width=2048,
        licence="Apache-2.0",
        weights_hash="0",
        preprocessing=ImageInput(size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3),
        device="cuda",
    )
    paths = saved(tmp_path, 60) * 40
    rows = [
        {
            "value": [str(path)],
            "content_hash": path.name,
            "item_id": [path.name],
            "event_timestamp": [None],
            "source": ["shop"],
        }
        for path in paths
    ]
    batches = [
        pa.Table.from_pylist(rows[first : first + 128], schema=WORK)
        for first in range(0, len(rows), 128)
    ]
    alone = made.forward(made.decoded([made.read(path) for path in paths[:60]]))
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate([one.vectors for one in encoded(batches, encoder=made, pool=pool)])
    assert len(found) == len(paths)
    assert cosines(found, np.tile(alone, (40, 1))).min() > 0.999

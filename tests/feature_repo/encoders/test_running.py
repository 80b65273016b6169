"""How torch encoders run: the same vectors in stages, in bfloat16, compiled, from device JPEGs."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import stages_of
from feature_repo.encoders.images import ImageInput, TorchImageEncoder, white_square, white_squares
from feature_repo.encoders.jpegs import DeviceJpegs, Jpeg, jpeg_pixels, plain_jpeg, plain_pixels
from feature_repo.encoders.registry import load_encoder
from feature_repo.encoders.running import Runner
from feature_repo.errors import EncoderError
from tests.feature_repo.encoders.test_hugging_face_families import save_clip, save_siglip, save_vit
from tests.feature_repo.encoders.test_torchvision_models import saved as random_weights
from validation.photos import MOST_PIXELS

SIZE = 48


def encoder(**options: Any) -> TorchImageEncoder:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2)
    )
    made = TorchImageEncoder(
        torch.nn.Sequential(network, torch.nn.Flatten()),
        name="small",
        width=64,
        licence="Apache-2.0",
        weights_hash="0",
        preprocessing=ImageInput(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        device="cpu",
    )
    if options:
        made.runner = made.runner.changed(**options)
    return made


def scene(number: int, size: tuple[int, int] = (90, 60)) -> Image.Image:
    """A smooth photo with an edge, as JPEG keeps it well."""
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    pixels = np.stack([across, down, (across + number * 20) % 200], axis=2).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (200, 30, 30)
    return Image.fromarray(pixels)


def squares(count: int = 5) -> list[np.ndarray]:
    return [white_square(scene(number), size=SIZE) for number in range(count)]


def test_stages_give_what_forward_gives_also_with_two_batches_under_way() -> None:
    small = encoder()
    stages = stages_of(small)
    first, second = stages.stage(squares(3)), stages.stage(squares(5))
    launched = [stages.launch(first), stages.launch(second)]
    np.testing.assert_array_equal(stages.fetch(launched[0]), small.forward(squares(3)))
    np.testing.assert_array_equal(stages.fetch(launched[1]), small.forward(squares(5)))


def test_bfloat16_gives_float32_vectors_of_the_same_direction_and_hash() -> None:
    exact, half = encoder(), encoder(precision="bfloat16")
    ours, theirs = half.forward(squares()), exact.forward(squares())
    assert ours.dtype == np.float32
    assert not np.array_equal(ours, theirs)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() > 0.999
    assert half.hash == exact.hash


@pytest.mark.slow
def test_the_default_text_encoder_keeps_its_directions_in_bfloat16() -> None:
    texts = ["a red sofa", "kitchen scissors with a very long description of what they cut"]
    exact, half = (
        load_encoder("minilm", device="cpu"),
        load_encoder("minilm", device="cpu", precision="bfloat16"),
    )
    assert ((exact.encode(texts) * half.encode(texts)).sum(axis=1) > 0.999).all()


def test_a_smaller_batch_of_a_compiled_computation_is_filled_up() -> None:
    sizes: list[int] = []

    def compute(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return inputs * 2

    runner = Runner(compute, device="cpu")
    runner.compiled = True
    numbers = torch.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(runner.run(numbers), numbers.numpy() * 2)
    np.testing.assert_array_equal(runner.run(numbers[:3]), numbers[:3].numpy() * 2)
    named = runner.launch(runner.stage(numbers[:1]))
    assert (sizes, named.shape) == ([4, 4, 4], (1, 2))


@pytest.mark.slow
def test_compiled_vectors_are_those_of_the_plain_module() -> None:
    compiled = encoder(precision=None, compiled=True)
    for count in (5, 3):
        np.testing.assert_allclose(
            compiled.forward(squares(count)), encoder().forward(squares(count)), atol=1e-5
        )


def test_an_unknown_precision_and_an_encoder_without_torch_are_refused() -> None:
    with pytest.raises(EncoderError, match="float32, bfloat16"):
        load_encoder("minilm", device="cpu", precision="float8")


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (48, 48), (300, 20), (700, 500)])
def test_photos_decoded_by_torchvision_are_those_of_pillow_up_to_a_few_levels(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    scene(1, size).save(path, quality=92)
    jpegs = DeviceJpegs(partial(white_squares, size=SIZE), device="cpu")
    jpeg = plain_jpeg(path)
    assert jpeg is not None
    (square,) = jpegs.finished([jpeg])
    assert isinstance(square, torch.Tensor)
    expected = white_square(open_photo(path), size=SIZE).astype(int)
    off = np.abs(square.numpy().astype(int) - expected)
    assert (off.mean() < 1, off.max() <= 8) == (True, True)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(90, 61), (61, 90), (48, 48), (300, 20), (701, 499)])
def test_a_photo_is_read_as_pillow_opens_it_byte_for_byte(
    tmp_path: Path, options: dict[str, Any], mode: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    scene(1, size).convert(mode).save(path, quality=88, **options)
    small = encoder()
    pixels = jpeg_pixels(path)
    assert (pixels is None) == (mode == "CMYK")
    if pixels is not None:
        opened = np.asarray(open_photo(path))
        np.testing.assert_array_equal(pixels[0].permute(1, 2, 0).numpy(), opened)
    read = small.read(path)
    assert isinstance(read, np.ndarray)
    np.testing.assert_array_equal(read, small.prepare(open_photo(path)))


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (48, 48), (300, 20), (1000, 1000), (40, 30)])
def test_a_square_is_pillow_s_but_for_a_value_in_a_hundred_by_two_levels(
    size: tuple[int, int],
) -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    for photo in (scene(2, size), Image.fromarray(noise)):
        scale = SIZE / max(size)
        width, height = (max(1, round(side * scale)) for side in size)
        expected = Image.new("RGB", (SIZE, SIZE), "white")
        expected.paste(
            photo.resize((width, height), Image.Resampling.BICUBIC),
            ((SIZE - width) // 2, (SIZE - height) // 2),
        )
        off = np.abs(white_square(photo, size=SIZE).astype(int) - np.asarray(expected))
        assert off.max() <= 2
        assert (off > 0).mean() < 0.01


def test_turned_photos_are_opened_upright_and_others_white_where_they_are_transparent(
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(0).save(tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0)
    turned = np.asarray(open_photo(tmp_path / "turned.jpg")).astype(int)
    assert np.abs(turned - np.asarray(scene(0).rotate(-90, expand=True))).max() < 12
    clear = scene(0).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 10, 10))
    for name in ("clear.png", "clear.webp", "clear.gif"):
        clear.save(tmp_path / name)
        opened = np.asarray(open_photo(tmp_path / name))
        assert opened.shape == (60, 90, 3)
        assert (opened[:8, :8] == 255).all()


def test_turned_transparent_and_cut_photos_are_left_to_pillow(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(0).save(tmp_path / "turned.jpg", exif=exif)
    scene(0).save(tmp_path / "xmp.jpg", xmp=b'<x tiff:Orientation="6"/>')
    scene(0).save(tmp_path / "upright.jpg", xmp=b'<x tiff:Orientation="1"/>')
    scene(0).save(tmp_path / "photo.png")
    scene(0).convert("CMYK").save(tmp_path / "print.jpg")
    scene(0).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-200])
    huge = bytearray(whole)
    frame = whole.index(b"\xff\xc0")
    huge[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    (tmp_path / "bomb.jpg").write_bytes(huge)
    (tmp_path / "headless.jpg").write_bytes(whole[:frame] + whole[-2:])
    assert open_photo(tmp_path / "xmp.jpg").size == scene(0).size[::-1]
    assert plain_jpeg(tmp_path / "xmp.jpg") is None
    assert plain_jpeg(tmp_path / "upright.jpg") is not None
    names = ("turned.jpg", "photo.png", "print.jpg", "cut.jpg", "absent.jpg", "bomb.jpg")
    assert [plain_jpeg(tmp_path / name) for name in (*names, "headless.jpg")] == [None] * 7
    assert plain_jpeg(tmp_path / "whole.jpg") is not None


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True, "dpi": (72, 72)}]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("upright", [None, 1])
def test_whole_upright_photos_are_known_by_their_headers(
    tmp_path: Path, options: dict[str, Any], mode: str, upright: int | None
) -> None:
    if upright:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = upright, "a camera"
        options = options | {"exif": exif}
    path = tmp_path / "photo.jpg"
    scene(0, (90, 61)).convert(mode).save(path, **options)
    assert plain_pixels(path.read_bytes()) == 90 * 61
    assert plain_pixels(path.read_bytes() + b"\0\0") == 90 * 61


@given(cut=st.integers(0, 700), put=st.binary(max_size=30))
def test_no_bytes_break_the_reading_of_headers(cut: int, put: bytes) -> None:
    buffer = BytesIO()
    scene(0).save(buffer, "JPEG")
    data = buffer.getvalue()
    found = plain_pixels(data[:cut] + put + data[cut + len(put) :])
    assert found is None or 0 < found <= MOST_PIXELS


def test_photos_are_decoded_a_few_at_a_time_where_they_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(90, 60), (90, 60), (60, 90), (90, 60), (200, 100), (90, 60)]
    for number, size in enumerate(sizes):
        scene(number, size).save(tmp_path / f"{number}.jpg", quality=95)
    monkeypatch.setattr("feature_repo.encoders.jpegs.AT_ONCE", 12_000)
    decoder = DeviceJpegs(partial(white_squares, size=SIZE), device="cpu")
    decoded: list[int] = []
    whole = decoder._decoded
    monkeypatch.setattr(decoder, "_decoded", lambda some: decoded.append(len(some)) or whole(some))
    read = [plain_jpeg(tmp_path / f"{number}.jpg") for number in range(len(sizes))]
    found = decoder.finished([one for one in read if one])
    assert decoded == [2, 2, 2]
    for number, square in enumerate(found):
        assert isinstance(square, torch.Tensor)
        expected = white_square(open_photo(tmp_path / f"{number}.jpg"), size=SIZE)
        assert np.abs(square.numpy().astype(int) - expected).mean() < 1


def test_an_encoder_mixes_photos_of_both_decoders_and_refuses_what_neither_reads(
    tmp_path: Path,
) -> None:
    for number in range(3):
        scene(number).save(tmp_path / f"{number}.jpg", quality=95)
    scene(3).save(tmp_path / "3.png")
    # Its frame is whole, what lies between is not.
    broken = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(broken[:20] + b"\xff\xd9")
    small = encoder()
    small.jpegs = DeviceJpegs(partial(white_squares, size=SIZE), device="cpu")
    plain = Jpeg(tmp_path / "2.jpg", torch.frombuffer(bytearray(broken[:20]), dtype=torch.uint8), 1)
    read = [small.read(tmp_path / name) for name in ("0.jpg", "3.png", "1.jpg")]
    decoded = small.decoded([*read, plain])
    assert [type(one).__name__ for one in decoded] == [
        "Tensor",
        "ndarray",
        "Tensor",
        "UnreadablePhoto",
    ]
    vectors = small.forward(decoded[:3])
    photos = [open_photo(tmp_path / name) for name in ("0.jpg", "3.png", "1.jpg")]
    np.testing.assert_allclose(vectors, small.encode(photos), atol=0.02)


@pytest.mark.parametrize("kind", ["torchvision", "vit", "clip", "siglip"])
def test_photos_that_a_device_decoded_are_preprocessed_as_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(
        "feature_repo.encoders.images.device_jpegs",
        lambda finish, device: DeviceJpegs(finish, device=device),
    )
    if kind == "torchvision":
        name = f"torchvision:squeezenet1_1:{random_weights(tmp_path, 'squeezenet1_1')}"
    else:
        {"vit": save_vit, "clip": save_clip, "siglip": save_siglip}[kind](tmp_path / kind)
        name = f"hf-image:{tmp_path / kind}"
    loaded: Any = load_encoder(name, device="cpu")
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths):
        scene(number, (90 + number // 2 * 40, 60)).save(path, quality=95)
    read = [loaded.read(path) for path in paths]
    assert all(isinstance(one, Jpeg) for one in read)
    found = loaded.decoded(read)
    for path, one in zip(paths, found, strict=True):
        expected = loaded.prepare(open_photo(path))
        assert one.shape == expected.shape
        assert np.abs(one.numpy() - expected).mean() < 0.03 * np.abs(expected).max()
    vectors = loaded.forward(found)
    np.testing.assert_allclose(vectors[1], loaded.forward(found[1:2])[0], atol=1e-4)

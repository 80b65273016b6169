import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.validation.conftest import encoded, noise
from validation.contents import NEAR_BITS
from validation.photos import (
    BLANK_SPREAD,
    ORIENTATION,
    PhotoProblem,
    inspect,
    inspect_all,
    thumbnail,
)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("good", None),
        ("good_png", None),
        ("missing", PhotoProblem.MISSING),
        ("empty", PhotoProblem.EMPTY),
        ("text", PhotoProblem.UNREADABLE),
        ("truncated", PhotoProblem.TRUNCATED),
        ("truncated_png", PhotoProblem.TRUNCATED),
        ("bomb", PhotoProblem.TOO_LARGE),
        ("bomb_below_pillows_limit", PhotoProblem.TOO_LARGE),
        ("tiny", PhotoProblem.TOO_SMALL),
        ("coarse", PhotoProblem.COARSE),
        ("blank", PhotoProblem.BLANK),
    ],
)
def test_each_defect_of_a_photo_is_told_apart(
    photos: dict[str, Path], name: str, problem: PhotoProblem | None
) -> None:
    assert inspect(photos[name]).problems == ({problem} if problem else set())


def test_a_photo_of_many_bytes_is_told(
    photos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = photos["good"].stat().st_size
    monkeypatch.setattr("validation.photos.LARGEST_FILE", size)
    assert inspect(photos["good"]).problems == set()
    monkeypatch.setattr("validation.photos.LARGEST_FILE", size - 1)
    assert inspect(photos["good"]).problems == {PhotoProblem.HEAVY}


def test_a_folder_in_place_of_a_photo_counts_as_missing(tmp_path: Path) -> None:
    assert inspect(tmp_path).problems == {PhotoProblem.MISSING}


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_a_jpeg_cut_anywhere_is_truncated_though_decoded_at_reduced_size(
    photos: dict[str, Path], kept: float
) -> None:
    whole = photos["good"].read_bytes()
    photos["good"].write_bytes(whole[: int(len(whole) * kept)])
    assert inspect(photos["good"]).problems == {PhotoProblem.TRUNCATED}


def test_all_photos_are_inspected_once_and_without_pillows_warnings(
    photos: dict[str, Path],
) -> None:
    paths = [str(path) for path in photos.values()]
    reports: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = inspect_all([*paths, *paths], progress=lambda *done: reports.append(done))
    assert list(seen) == sorted(paths)
    assert {Path(path).stem for path, photo in seen.items() if not photo.problems} == {
        *("good", "good_png"),
    }
    assert reports == [(12, 12)]


def test_a_bomb_gets_no_thumbnail_and_a_photo_a_small_one(photos: dict[str, Path]) -> None:
    assert thumbnail(photos["bomb"]) is None
    assert thumbnail(photos["truncated"]) is None
    small = thumbnail(photos["good"])
    assert small is not None
    assert small.size == (96, 64)


def save(image: Image.Image, path: Path, kind: str = "JPEG", **options: object) -> Path:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    path.write_bytes(buffer.getvalue())
    return path


def test_weak_photos_are_told_apart(tmp_path: Path) -> None:
    sharp = noise(40, 30).resize((400, 300), Image.Resampling.NEAREST)
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    weak = {
        PhotoProblem.BLURRED: save(
            sharp.filter(ImageFilter.GaussianBlur(40)), tmp_path / "blurred.jpg"
        ),
        PhotoProblem.STRIP: save(sharp.resize((700, 100)), tmp_path / "strip.jpg"),
        PhotoProblem.SIDEWAYS: save(sharp, tmp_path / "sideways.jpg", exif=turned),
        PhotoProblem.OTHER_FORMAT: save(sharp, tmp_path / "other.bmp", "BMP"),
    }
    assert {problem: inspect(path).problems for problem, path in weak.items()} == {
        problem: {problem} for problem in weak
    }


def test_a_photo_without_any_opaque_pixel_is_blank_whatever_colours_it_hides(
    tmp_path: Path,
) -> None:
    hidden = noise(80, 80).convert("RGBA")
    hidden.putalpha(0)
    seen = inspect(save(hidden, tmp_path / "hidden.png", "PNG"))
    assert seen.problems == {PhotoProblem.BLANK}
    assert seen.fingerprint is None


def test_a_photo_of_two_colours_equally_bright_is_not_blank(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 200), (200, 40, 40))
    image.paste((20, 108, 120), (0, 0, 100, 200))
    grey = image.convert("L").getextrema()
    assert grey[1] - grey[0] <= BLANK_SPREAD
    for kind in ("JPEG", "PNG"):
        path = save(image, tmp_path / f"two.{kind}", kind)
        assert PhotoProblem.BLANK not in inspect(path).problems


def test_a_copy_that_was_saved_again_has_nearly_the_same_fingerprint(tmp_path: Path) -> None:
    photo = noise(12, 9).resize((600, 450), Image.Resampling.BICUBIC)
    prints = [
        inspect(save(copy, tmp_path / f"{name}.jpg", quality=quality)).fingerprint
        for name, copy, quality in (
            ("first", photo, 95),
            ("again", photo, 40),
            ("smaller", photo.resize((300, 225)), 90),
            ("another", noise(13, 10).resize((600, 450), Image.Resampling.BICUBIC), 95),
        )
    ]
    first, *others = [value for value in prints if value is not None]
    near = [(first ^ other).bit_count() <= NEAR_BITS for other in others]
    assert near == [True, True, False]


def test_a_photo_of_no_use_has_no_fingerprint(photos: dict[str, Path]) -> None:
    assert [inspect(photos[name]).fingerprint for name in ("truncated", "blank", "missing")] == [
        *(None, None, None),
    ]


@settings(max_examples=120, deadline=None)
@given(content=st.binary(max_size=400), head=st.sampled_from(["", "jpeg", "png", "gif", "webp"]))
def test_no_bytes_make_it_fail(content: bytes, head: str) -> None:
    heads = {"jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a"}
    start = {**heads, "webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ", "": b""}[head]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        path.write_bytes(start + content)
        assert inspect(path).problems


def test_a_photo_with_one_wrong_byte_is_told_or_seen(tmp_path: Path) -> None:
    whole, path = encoded(noise(60, 40)), tmp_path / "photo.jpg"
    seen: set[bool] = set()

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(place=st.integers(0, len(whole) - 1), off=st.integers(1, 255))
    def changed(place: int, off: int) -> None:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ off]) + whole[place + 1 :])
        photo = inspect(path)
        assert photo.problems or photo.fingerprint is not None
        seen.add(photo.fingerprint is not None)

    changed()
    assert seen == {True, False}

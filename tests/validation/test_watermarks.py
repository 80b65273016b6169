from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from validation.photos import PhotoProblem, inspect_all
from validation.watermarks import FEWEST_PHOTOS

Photos = list[Image.Image]
SIZE = (224, 224)
COUNT = 60


def piece(number: int) -> Image.Image:
    """A centred piece of a pattern of its own on white, framed as a shop frames all of its."""
    generator = np.random.default_rng(number)
    wide, high = (2 * generator.integers(25, 85, 2)).tolist()
    coarse = generator.integers(0, 256, (high // 8 + 2, wide // 8 + 2, 3), dtype=np.uint8)
    pattern = Image.fromarray(coarse).resize((wide, high), Image.Resampling.BICUBIC)
    image = Image.new("RGB", SIZE, "white")
    image.paste(pattern, ((SIZE[0] - wide) // 2, (SIZE[1] - high) // 2))
    ImageDraw.Draw(image).rectangle((8, 8, 215, 215), outline="grey", width=3)
    return image


def marked(image: Image.Image, *, opacity: float = 0.4, at: tuple[int, int] = (20, 172)):
    mask = Image.new("L", image.size, 0)
    font = ImageFont.load_default(32)
    ImageDraw.Draw(mask).text(at, "oakhouse", fill=round(255 * opacity), font=font)
    return Image.composite(Image.new("RGB", image.size, "grey"), image, mask)


@pytest.fixture
def told(tmp_path: Path) -> Callable[[Photos], set[int]]:
    """Saves photos and says which bear a mark."""

    def tell(images: Photos) -> set[int]:
        paths = [str(tmp_path / f"{number:03}.jpg") for number in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            image.save(path, quality=85)
        seen = inspect_all(paths)
        return {
            row for row, path in enumerate(paths) if PhotoProblem.WATERMARK in seen[path].problems
        }

    return tell


def test_pieces_that_are_centred_framed_and_on_white_bear_no_mark(
    told: Callable[[Photos], set[int]],
) -> None:
    assert told([piece(number) for number in range(COUNT)]) == set()


def test_letterboxed_photos_bear_no_mark(told: Callable[[Photos], set[int]]) -> None:
    photos = []
    for number in range(COUNT):
        image = Image.new("RGB", SIZE, "black")
        image.paste(piece(number).crop((20, 60, 204, 164)).resize((224, 126)), (0, 49))
        photos.append(image)
    assert told(photos) == set()


@pytest.mark.parametrize("opacity", [0.3, 0.6])
def test_a_mark_on_all_photos_is_told_of_each(
    told: Callable[[Photos], set[int]], opacity: float
) -> None:
    photos = [marked(piece(number), opacity=opacity) for number in range(COUNT)]
    assert len(told(photos)) >= 0.9 * COUNT


def test_a_mark_on_half_of_the_photos_is_told_of_that_half_alone(
    told: Callable[[Photos], set[int]],
) -> None:
    bearing = set(range(0, 2 * COUNT, 2))
    found = told(
        [
            marked(piece(number)) if number in bearing else piece(number)
            for number in range(2 * COUNT)
        ]
    )
    assert found <= bearing
    assert len(found) >= 0.9 * len(bearing)


def test_the_same_word_at_other_places_is_no_mark(told: Callable[[Photos], set[int]]) -> None:
    places = np.random.default_rng(0).integers(0, (80, 180), (COUNT, 2)).tolist()
    photos = [marked(piece(number), at=(x, y)) for number, (x, y) in enumerate(places)]
    assert told(photos) == set()


def test_copies_of_one_picture_are_one_photo_and_make_no_mark(
    told: Callable[[Photos], set[int]],
) -> None:
    copies = [marked(piece(0)) for _ in range(COUNT)]
    assert told([*copies, *(piece(number) for number in range(1, FEWEST_PHOTOS))]) == set()


def test_no_chunk_of_a_batch_is_left_with_too_few_photos(
    told: Callable[[Photos], set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("validation.photos.CHUNK", 2 * FEWEST_PHOTOS)
    count = 2 * FEWEST_PHOTOS + 10
    found = told([marked(piece(number)) for number in range(count)])
    assert len(found) >= 0.9 * count


def test_few_photos_are_too_few_to_tell(told: Callable[[Photos], set[int]]) -> None:
    assert told([marked(piece(number)) for number in range(FEWEST_PHOTOS - 1)]) == set()

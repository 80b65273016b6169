from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feature_repo.encoders import content
from feature_repo.encoders.content import UnreadablePhoto, listing_text, open_photo
from feature_repo.encoders.encoder import checked
from feature_repo.encoders.images import white_square
from feature_repo.errors import EncoderError


def test_transparency_becomes_white_and_the_photo_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_photo(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    turned = Image.new("RGB", (6, 4))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert open_photo(tmp_path / "turned.jpg").size == (4, 6)


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(content, "MOST_PIXELS", 99)
    with pytest.raises(UnreadablePhoto, match="10 × 10 pixels"):
        open_photo(tmp_path / "bomb.png")


def test_the_whole_photo_stands_in_the_middle_of_a_white_square() -> None:
    square = white_square(Image.new("RGB", (40, 20), "black"), size=8)
    assert square.shape == (8, 8, 3)
    assert (square[:2] == 255).all()
    assert (square[2:6] == 0).all()
    assert (square[6:] == 255).all()


@pytest.mark.parametrize(
    ("title", "description", "text"),
    [
        ("Sofa", "Soft.", "Sofa. Soft."),
        ("Sofa", None, "Sofa"),
        (" ", "Soft.", "Soft."),
        (None, None, None),
        ("", " ", None),
        (float("nan"), "Soft.", "Soft."),
    ],
)
def test_a_listings_text_is_title_and_description(
    title: str | None, description: str | None, text: str | None
) -> None:
    assert listing_text(title, description) == text


def test_an_output_that_is_not_finite_or_of_another_shape_is_an_error() -> None:
    with pytest.raises(EncoderError, match="first at position 1"):
        checked([[1.0, 2.0], [np.nan, 0.0]], encoder="e", count=2, width=2)
    with pytest.raises(EncoderError, match=r"\(1, 2\) for 2 inputs; expected \(2, 2\)"):
        checked([[1.0, 2.0]], encoder="e", count=2, width=2)

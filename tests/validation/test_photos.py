import warnings
from pathlib import Path

import pytest

from validation.photos import PhotoProblem, inspect, inspect_all, thumbnail


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
    assert inspect(photos[name]) == problem


def test_a_folder_in_place_of_a_photo_counts_as_missing(tmp_path: Path) -> None:
    assert inspect(tmp_path) is PhotoProblem.MISSING


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_a_jpeg_cut_anywhere_is_truncated_though_decoded_at_reduced_size(
    photos: dict[str, Path], kept: float
) -> None:
    whole = photos["good"].read_bytes()
    photos["good"].write_bytes(whole[: int(len(whole) * kept)])
    assert inspect(photos["good"]) is PhotoProblem.TRUNCATED


def test_all_photos_are_inspected_once_and_without_pillows_warnings(
    photos: dict[str, Path],
) -> None:
    paths = [str(path) for path in photos.values()]
    reports: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problems = inspect_all([*paths, *paths], progress=lambda *done: reports.append(done))
    assert {Path(path).stem for path in paths if path not in problems} == {"good", "good_png"}
    assert reports == [(12, 12)]


def test_a_bomb_gets_no_thumbnail_and_a_photo_a_small_one(photos: dict[str, Path]) -> None:
    assert thumbnail(photos["bomb"]) is None
    assert thumbnail(photos["truncated"]) is None
    small = thumbnail(photos["good"])
    assert small is not None
    assert small.size == (96, 64)

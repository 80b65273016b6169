"""A listing's photo comes from the allowed folder or from the request, and from nowhere else."""

import base64
from pathlib import Path

import pytest

from bentos.recommender.photos import PhotoRefused, keep_photo, photo_root, resolve_photo
from feature_repo.home import Home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "a.jpg").write_bytes(b"photo")
    (tmp_path / "secret.txt").write_text("secret")
    return root.resolve()


def test_a_relative_or_absolute_path_under_the_root_is_found(root: Path) -> None:
    photo = root / "deep" / "a.jpg"
    assert resolve_photo("deep/a.jpg", root=root) == photo
    assert resolve_photo(str(photo), root=root) == photo


@pytest.mark.parametrize("named", ["../secret.txt", "deep/../../secret.txt", "/etc/passwd"])
def test_a_path_outside_the_root_is_refused(root: Path, named: str) -> None:
    with pytest.raises(PhotoRefused, match="outside the allowed photo folder"):
        resolve_photo(named, root=root)


def test_a_link_that_leads_outside_the_root_is_refused(root: Path) -> None:
    (root / "link.jpg").symlink_to(root.parent / "secret.txt")
    with pytest.raises(PhotoRefused, match="outside the allowed photo folder"):
        resolve_photo("link.jpg", root=root)


@pytest.mark.parametrize("named", ["absent.jpg", "deep", ""])
def test_what_is_not_a_file_is_refused(root: Path, named: str) -> None:
    with pytest.raises(PhotoRefused, match="is not a file"):
        resolve_photo(named, root=root)


def test_a_nul_character_is_refused(root: Path) -> None:
    with pytest.raises(PhotoRefused, match="NUL"):
        resolve_photo("a\0.jpg", root=root)


def test_the_root_is_the_homes_photos_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    assert photo_root(home) == home.photos.resolve()
    monkeypatch.setenv("COLDSTART_PHOTO_ROOT", str(tmp_path / "elsewhere"))
    assert photo_root(home) == (tmp_path / "elsewhere").resolve()


def test_the_same_sent_photo_is_kept_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    encoded = base64.b64encode(b"\x89PNG then more").decode()

    path = keep_photo(encoded, home=home)

    assert path == keep_photo(encoded, home=home)
    assert path.suffix == ".png"
    assert path.is_relative_to(home.photos)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_not_base64_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match="not base64"):
        keep_photo("!!", home=Home(tmp_path))


def test_a_photo_of_unreasonable_size_is_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match="longer than 10000000 bytes"):
        keep_photo("A" * 13_400_000, home=Home(tmp_path))

"""A listing's photo comes from the allowed folder or from the request, and from nowhere else."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bentos.recommender.photos import (
    PhotoLimits,
    PhotoRefused,
    keep_photo,
    photo_root,
    resolve_photo,
)
from feature_repo.home import Home
from feature_repo.jobs.sent_photos import SentPhotos
from tests.bentos.pictures import bomb, picture, sent


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
    encoded = sent(picture("PNG"))

    path = keep_photo(encoded, into=SentPhotos(home))

    assert path == keep_photo(encoded, into=SentPhotos(home))
    assert path.suffix == ".png"
    assert path.is_relative_to(home.photos)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_not_base64_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match="not base64"):
        keep_photo("!!", into=SentPhotos(Home(tmp_path)))


def test_a_photo_of_unreasonable_size_is_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match="longer than 10000000 bytes"):
        keep_photo("A" * 13_400_000, into=SentPhotos(Home(tmp_path)))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("GIF", ".gif"), ("TIFF", ".tiff")],
)
def test_a_photo_is_named_by_what_its_header_says(tmp_path: Path, kind: str, suffix: str) -> None:
    assert keep_photo(sent(picture(kind)), into=SentPhotos(Home(tmp_path))).suffix == suffix


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\x89PNG then more", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_photo_is_never_written(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    with pytest.raises(PhotoRefused, match="is no photo that can be read"):
        keep_photo(sent(content), into=SentPhotos(home))
    assert not home.photos.exists()


def test_a_bomb_is_refused_by_its_header_and_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    home = Home(tmp_path)
    for side, told in ((60_000, "more than 50000000"), (8000, "8000 × 8000")):
        with pytest.raises(PhotoRefused, match=f"{told}.*pixels"):
            keep_photo(sent(bomb(side, side)), into=SentPhotos(home))
    limits = PhotoLimits(most_pixels=10_000)
    with pytest.raises(PhotoRefused, match="101 × 100 pixels; at most 10000"):
        keep_photo(sent(bomb(101, 100)), into=SentPhotos(home), limits=limits)
    assert not home.photos.exists()
    assert keep_photo(sent(bomb(100, 100)), into=SentPhotos(home), limits=limits).is_file()


@pytest.mark.parametrize(
    "named",
    [
        "http://127.0.0.1/a.jpg",
        "https://shop.test/a.jpg",
        "file:///etc/passwd",
        "ftp://x/y",
        "data:image/png;base64,AAAA",
        "//shop.test/a.jpg",
    ],
)
def test_an_address_is_never_opened(
    root: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(PhotoRefused, match="is an address"):
        resolve_photo(named, root=root)


@pytest.mark.parametrize("named", ["/proc/self/environ", "/proc/self/root/etc/passwd", "/dev/zero"])
def test_what_the_system_shows_as_files_is_outside(root: Path, named: str) -> None:
    with pytest.raises(PhotoRefused, match="outside the allowed photo folder"):
        resolve_photo(named, root=root)


def test_links_to_folders_and_to_themselves_lead_nowhere(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    (root / "loop").symlink_to(root / "loop")
    (root / "proc").symlink_to("/proc/self")
    with pytest.raises(PhotoRefused, match="outside the allowed photo folder"):
        resolve_photo("out/secret.txt", root=root)
    with pytest.raises(PhotoRefused, match="outside the allowed photo folder"):
        resolve_photo("proc/environ", root=root)
    with pytest.raises(PhotoRefused):
        resolve_photo("loop", root=root)


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")
    with pytest.raises(PhotoRefused, match="is not a file"):
        resolve_photo("pipe.jpg", root=root)


@pytest.mark.parametrize("named", ["a" * 5000, "deep/" * 2000, "a\ud800.jpg"])
def test_what_no_file_can_be_called_is_refused(root: Path, named: str) -> None:
    with pytest.raises(PhotoRefused):
        resolve_photo(named, root=root)


def test_no_name_at_all_leads_outside_the_root(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    (root / "link.jpg").symlink_to(root / "deep" / "a.jpg")
    (root / "secret.jpg").symlink_to(root.parent / "secret.txt")
    pieces = ["..", ".", "", "deep", "a.jpg", "photos", "out", "link.jpg"]
    pieces += ["secret.jpg", "secret.txt"]
    found: set[Path] = set()
    refused: set[str] = set()

    @given(named=st.lists(st.sampled_from(pieces) | st.text(max_size=9), max_size=6).map("/".join))
    @settings(max_examples=300, deadline=None, derandomize=True)
    def asked(named: str) -> None:
        try:
            photo = resolve_photo(named, root=root)
        except PhotoRefused as reason:
            refused.add(str(reason).rpartition(" is ")[2])
            return
        assert photo.is_relative_to(root)
        assert photo.is_file()
        found.add(photo)

    asked()
    assert found == {root / "deep" / "a.jpg"}
    assert "outside the allowed photo folder" in refused

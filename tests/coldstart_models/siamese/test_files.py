"""A model's folder that is torn is refused with a reason, not with a library's traceback."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from coldstart_models.errors import ArtifactError
from coldstart_models.siamese.files import ARRAYS, CONFIG, NETWORK, load_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The files of a model, none of them with anything in it."""
    save_file({}, tmp_path / ARRAYS)
    save_file({}, tmp_path / NETWORK)
    (tmp_path / CONFIG).write_text(json.dumps({"price_range": None, "lexicons": {}}))
    return tmp_path


@pytest.mark.parametrize("name", [ARRAYS, NETWORK, CONFIG])
def test_a_torn_file_is_a_corrupt_model(model: Path, name: str) -> None:
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=r"is corrupt: .*; name another model"):
        load_folder(model)


def test_a_missing_file_is_named(model: Path) -> None:
    (model / NETWORK).unlink()
    with pytest.raises(ArtifactError, match=f"lacks {NETWORK}"):
        load_folder(model)

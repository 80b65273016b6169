"""A model's folder that is torn is refused with a reason, not with a library's traceback."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from coldstart_models.errors import ArtifactError
from coldstart_models.siamese.content_map import ContentMap
from coldstart_models.siamese.files import ARRAYS, CONFIG, HEAD, NETWORK, load_folder, save_folder
from coldstart_models.siamese.inputs import ATTRIBUTES, Featurizer
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.population import Population
from tests.coldstart_models.checkerboard import titled


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


def test_a_model_reads_a_listing_after_it_was_kept_as_it_did_before(tmp_path: Path) -> None:
    catalogue = titled(
        {f"i{number:02}": "chair" for number in range(12)},
        category=["灯", "椅", "床"] * 4,
        attributes=[f'{{"size": "{size}"}}' for size in "SML" for _ in range(4)],
    )
    featurizer = Featurizer.fit(catalogue, np.ones(12, bool), seed=0)
    before = featurizer(catalogue).values
    widths = {name: values.shape[1] for name, values in before.items()}
    nothing = np.zeros((1, 1), np.float32)
    save_folder(
        tmp_path,
        featurizer=featurizer,
        head=ContentMap(**dict.fromkeys(HEAD, nothing)),
        network=MetaSiamese(widths, dates=False, generator=torch.Generator().manual_seed(0)),
        population=Population(
            {name: torch.zeros(width) for name, width in widths.items()},
            {name: torch.eye(width) for name, width in widths.items()},
        ),
    )
    after = load_folder(tmp_path)[0](catalogue).values
    assert list(after) == list(before)
    assert np.abs(before[ATTRIBUTES]).sum(axis=1).all()
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values, err_msg=name)

"""The general tower at one shop: inputs of the Siamese scorer beside those the shop fits itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.data.catalogue import BoolArray, Catalogue, Embeddings, FloatMatrix
from coldstart_models.errors import ContractMismatch
from coldstart_models.general.artifact import EncoderName, GeneralModel
from coldstart_models.general.corpus import centred, modalities, warm_mean
from coldstart_models.general.tower import PHOTO, TEXT, GeneralTower

GENERAL: Final = "general"
GENERAL_PHOTO: Final = "general photo"
INPUT_OF: Final = {TEXT: GENERAL, PHOTO: GENERAL_PHOTO}
"""Encoded modality → the input that the tower makes of it."""
MEAN: Final = "general.mean."
TOWER: Final = "general.tower."


@dataclass(frozen=True, slots=True)
class GeneralSpace:
    """A tower, and a shop's means to read its listings by."""

    tower: GeneralTower
    means: dict[str, npt.NDArray[np.float32]]
    """Modality → (D,) of the shop's warm items; only those that the tower and the shop have."""

    @classmethod
    def fit(cls, general: GeneralModel, catalogue: Catalogue, warm: BoolArray) -> "GeneralSpace":
        """The shop's means. Raises ContractMismatch where its encoders are others."""
        stored = modalities(catalogue, warm)
        shared = [name for name in general.tower.widths if name in stored]
        check_encoders(general, stored)
        return cls(general.tower, {name: warm_mean(stored[name], warm) for name in shared})

    def __call__(self, catalogue: Catalogue) -> tuple[dict[str, FloatMatrix], dict[str, BoolArray]]:
        """Input → (N, D) unit rows, zero where missing, and which rows are there (N,)."""
        values, present = {}, {}
        for name, mean in self.means.items():
            stored = catalogue.text if name == TEXT else catalogue.image
            rows = torch.from_numpy(centred(stored, mean))
            with torch.inference_mode():
                moved = np.array(self.tower(name, rows).numpy())
            moved[~stored.present] = 0.0
            values[INPUT_OF[name]], present[INPUT_OF[name]] = moved, stored.present
        return values, present


def space_arrays(space: GeneralSpace) -> dict[str, npt.NDArray[np.float32]]:
    """The tower and the means, to be stored with a shop's own model."""
    arrays = {f"{MEAN}{name}": mean for name, mean in space.means.items()}
    state = space.tower.state_dict()
    return arrays | {f"{TOWER}{name}": values.numpy() for name, values in state.items()}


def space_from_arrays(arrays: Mapping[str, npt.NDArray[np.float32]]) -> GeneralSpace | None:
    """What `space_arrays` gave, picked out of a model's arrays; None where there is none."""
    means = {
        name.removeprefix(MEAN): values for name, values in arrays.items() if name.startswith(MEAN)
    }
    if not means:
        return None
    state = {
        name.removeprefix(TOWER): torch.from_numpy(values)
        for name, values in arrays.items()
        if name.startswith(TOWER)
    }
    inner = {name: values for name, values in state.items() if name.startswith("inner.")}
    tower = GeneralTower({name.removeprefix("inner."): len(v) for name, v in inner.items()})
    tower.load_state_dict(state)
    return GeneralSpace(tower.eval(), means)


def check_encoders(general: GeneralModel, stored: dict[str, Embeddings]) -> None:
    """Raise ContractMismatch where a modality of both is encoded otherwise, or none is shared."""
    encoders = general.provenance.encoders
    differences = [
        f"{name}: learned on {wanted.id} ({wanted.hash[:12]}), this shop has "
        f"{stored[name].encoder} ({stored[name].encoder_hash[:12]})"
        for name, wanted in encoders.items()
        if name in stored and wanted != EncoderName(stored[name].encoder, stored[name].encoder_hash)
    ]
    if differences:
        raise ContractMismatch(
            f"the general model does not fit this shop's features: {'; '.join(differences)}. "
            "Extract with the encoders that it learned on, pretrain one on the shop's encoders by "
            "`coldstart pretrain`, or train without it"
        )
    if not set(encoders) & set(stored):
        raise ContractMismatch(
            f"the general model reads {', '.join(encoders)}, and no listing of this shop that "
            f"somebody chose has that; it has {', '.join(stored) or 'no encoded content'}. Run "
            "`coldstart extract`, or train without it"
        )

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
from coldstart_models.general.metric import moved
from coldstart_models.general.tower import PHOTO, TEXT, GeneralTower

GENERAL: Final = "general"
GENERAL_PHOTO: Final = "general photo"
INPUT_OF: Final = {TEXT: GENERAL, PHOTO: GENERAL_PHOTO}
"""Encoded modality → the input that the tower makes of it."""
MEAN: Final = "general.mean."
MAP: Final = "general.map."
TOWER: Final = "general.tower."


@dataclass(frozen=True, slots=True)
class GeneralSpace:
    """A tower, and a shop's means and maps to read its listings by."""

    tower: GeneralTower
    means: dict[str, npt.NDArray[np.float32]]
    """Modality → (D,) of the shop's warm items; only those that the tower and the shop have."""
    maps: dict[str, FloatMatrix]
    """Modality → (D, D): A of `metric`."""

    @classmethod
    def fit(cls, general: GeneralModel, catalogue: Catalogue, warm: BoolArray) -> "GeneralSpace":
        """The shop's means. Raises ContractMismatch where its encoders are others."""
        stored = modalities(catalogue, warm)
        shared = [name for name in general.tower.widths if name in stored]
        check_encoders(general, stored)
        means = {name: warm_mean(stored[name], warm) for name in shared}
        maps = {
            name: general.metric.at(name, centred(stored[name], means[name])[warm])
            for name in shared
        }
        return cls(general.tower, means, maps)

    def __call__(self, catalogue: Catalogue) -> tuple[dict[str, FloatMatrix], dict[str, BoolArray]]:
        """Input → (N, D) unit rows, zero where missing, and which rows are there (N,)."""
        values, present = {}, {}
        for name, mean in self.means.items():
            stored = catalogue.text if name == TEXT else catalogue.image
            rows = torch.from_numpy(moved(centred(stored, mean), self.maps[name]))
            with torch.inference_mode():
                vectors = np.array(self.tower(name, rows).numpy())
            vectors[~stored.present] = 0.0
            values[INPUT_OF[name]], present[INPUT_OF[name]] = vectors, stored.present
        return values, present


def space_arrays(space: GeneralSpace) -> dict[str, npt.NDArray[np.float32]]:
    """The tower and the means, to be stored with a shop's own model."""
    arrays = {f"{MEAN}{name}": mean for name, mean in space.means.items()}
    arrays |= {f"{MAP}{name}": matrix for name, matrix in space.maps.items()}
    state = space.tower.state_dict()
    return arrays | {f"{TOWER}{name}": values.numpy() for name, values in state.items()}


def space_from_arrays(arrays: Mapping[str, npt.NDArray[np.float32]]) -> GeneralSpace | None:
    """What `space_arrays` gave, picked out of a model's arrays; None where there is none."""
    means = {
        name.removeprefix(MEAN): values for name, values in arrays.items() if name.startswith(MEAN)
    }
    if not means:
        return None
    maps = {name: arrays[f"{MAP}{name}"] for name in means}
    state = {
        name.removeprefix(TOWER): torch.from_numpy(values)
        for name, values in arrays.items()
        if name.startswith(TOWER)
    }
    inner = {name: values for name, values in state.items() if name.startswith("inner.")}
    tower = GeneralTower({name.removeprefix("inner."): len(v) for name, v in inner.items()})
    tower.load_state_dict(state)
    return GeneralSpace(tower.eval(), means, maps)


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
            f"the general model reads {', '.join(encoders)}, and fewer than two listings of this "
            f"shop that somebody chose have that; they have "
            f"{', '.join(stored) or 'no encoded content'}. Run "
            "`coldstart extract`, or train without it"
        )

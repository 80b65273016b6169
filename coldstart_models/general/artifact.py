"""The general model as a folder: the tower as safetensors, what it was made of as JSON."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from coldstart_models.errors import ArtifactError, ConfigError
from coldstart_models.general.metric import Metric
from coldstart_models.general.tower import GeneralTower
from validation.whole_files import replacing

TOWER: Final = "tower.safetensors"
CONFIG: Final = "config.json"
METRIC: Final = "metric."
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class EncoderName:
    """Which encoder made a modality's vectors."""

    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class ShopRecord:
    """One source that the model learned from."""

    name: str
    licence: str
    """As stated when it was pretrained; ``not stated`` where nobody said."""
    generated: bool
    items: int
    users: int
    events: int
    contents: int
    """Listings that its encoders tell apart, of those learned from."""
    pairs: int
    """Distinct pairs of a person and such a content."""
    digest: str
    """Of the shop's listings: the same shop under another name has the same."""


def shop_labels(shops: Sequence[ShopRecord]) -> list[str]:
    """A name of its own for each: shops of one name get their listings' digest beside it."""
    names = Counter(shop.name for shop in shops)
    return [
        shop.name if names[shop.name] == 1 else f"{shop.name} ({shop.digest[:8]})" for shop in shops
    ]


@dataclass(frozen=True, slots=True)
class Provenance:
    """From what, by what and how the model was made."""

    sources: tuple[ShopRecord, ...]
    encoders: dict[str, EncoderName]
    """Modality → the encoder whose space the tower reads."""
    seed: int
    code_version: str
    made_at: datetime
    kept_step: int
    checks: tuple[tuple[int, float], ...]
    """(step, NDCG@10 on the shops left out in turn); step 0 is the metric alone."""
    shrinkages: dict[float, float]
    """λ of the metric → NDCG@10 of the metric alone, likewise; 1 is content similarity."""
    by_shop: dict[str, tuple[float, float]]
    """Label → NDCG@10 on the shop while left out, of content similarity and of what was kept."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(source.name for source in self.sources)

    @property
    def labels(self) -> list[str]:
        """The sources' names, told apart where two have the same."""
        return shop_labels(self.sources)

    def to_json(self) -> dict[str, Any]:
        """JSON values; :meth:`from_json` reads them back."""
        return {**asdict(self), "made_at": self.made_at.astimezone(UTC).isoformat()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Provenance":
        """Raises KeyError, TypeError or ValueError where it is not what `to_json` gave."""
        return cls(
            sources=tuple(ShopRecord(**one) for one in values["sources"]),
            encoders={name: EncoderName(**one) for name, one in values["encoders"].items()},
            seed=values["seed"],
            code_version=values["code_version"],
            made_at=datetime.fromisoformat(values["made_at"]),
            kept_step=values["kept_step"],
            checks=tuple((int(step), float(value)) for step, value in values["checks"]),
            shrinkages={float(one): value for one, value in values["shrinkages"].items()},
            by_shop={name: (pair[0], pair[1]) for name, pair in values["by_shop"].items()},
        )


@dataclass(frozen=True, slots=True)
class GeneralModel:
    """A pretrained tower and what it was made of."""

    tower: GeneralTower
    metric: Metric
    """What the tower stands on at a shop."""
    provenance: Provenance

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits of a hash of all that was learned, to know the model by."""
        digest = hashlib.sha256()
        for name, values in sorted(self.tower.state_dict().items()):
            digest.update(name.encode())
            digest.update(values.numpy().tobytes())
        for name, covariance in sorted(self.metric.covariances.items()):
            digest.update(name.encode())
            digest.update(covariance.tobytes())
        digest.update(repr(self.metric.shrinkage).encode())
        return digest.hexdigest()[:16]

    def told(self) -> dict[str, Any]:
        """What a model that started from this one keeps of where it came from, as JSON values."""
        return {"digest": self.digest, **self.provenance.to_json()}


def save_general(model: GeneralModel, folder: Path) -> None:
    """Write the model; the configuration comes last, so that a folder that has it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: values.contiguous() for name, values in model.tower.state_dict().items()}
    for name, covariance in model.metric.covariances.items():
        state[f"{METRIC}{name}"] = torch.from_numpy(np.ascontiguousarray(covariance))
    with replacing(folder / TOWER) as partial:
        save_file(state, partial)
    config = {
        "format": FORMAT,
        "digest": model.digest,
        "widths": model.tower.widths,
        "shrinkage": model.metric.shrinkage,
        **model.provenance.to_json(),
    }
    with replacing(folder / CONFIG) as partial:
        partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_general(folder: Path) -> GeneralModel:
    """Read a model. Raises ArtifactError where the folder does not hold a whole one."""
    missing = [name for name in (CONFIG, TOWER) if not (folder / name).exists()]
    if missing:
        raise ArtifactError(
            f"{folder} holds no general model: {', '.join(missing)} is not there; make one by "
            f"`coldstart pretrain SOURCE… --out {folder}`"
        )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise ArtifactError(
                f"{folder} is of format {config['format']}, this version reads {FORMAT}; "
                "run `coldstart pretrain` again"
            )
        tower = GeneralTower(config["widths"])
        state = load_file(folder / TOWER)
        covariances = {
            name.removeprefix(METRIC): state.pop(name).numpy()
            for name in sorted(state)
            if name.startswith(METRIC)
        }
        tower.load_state_dict(state)
        metric = Metric(covariances, float(config["shrinkage"]))
        model = GeneralModel(tower.eval(), metric, Provenance.from_json(config))
        stated = config["digest"]
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} is not what `coldstart pretrain` wrote ({error}); run it again"
        ) from error
    if model.digest != stated:
        raise ArtifactError(
            f"the weights in {folder / TOWER} are not those that its {CONFIG} is of "
            f"({model.digest}, expected {stated}); run `coldstart pretrain` again"
        )
    return model


def require_left_out(provenance: Provenance, *, name: str, digest: str) -> None:
    """Raise ConfigError where a shop that transfer is to be measured on was learned from."""
    for source in provenance.sources:
        if name == source.name or digest == source.digest:
            raise ConfigError(
                f"the general model learned from {source.name}, which is the target {name}"
                f"{'' if name == source.name else ' under another name'}: its result on it would "
                "say nothing of transfer. Pretrain one without it, or measure on another shop"
            )

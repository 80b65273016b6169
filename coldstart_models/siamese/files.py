"""The model as a plain folder: arrays as safetensors, the rest as JSON."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from coldstart_models.errors import ArtifactError, ConfigError
from coldstart_models.general.space import space_arrays, space_from_arrays
from coldstart_models.siamese.content_map import ContentMap
from coldstart_models.siamese.inputs import Featurizer, Lexicon, LexiconKind, Projection
from coldstart_models.siamese.learners.registry import build_learner
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.strangers import PopularitySpread

NETWORK: Final = "network.safetensors"
ARRAYS: Final = "arrays.safetensors"
CONFIG: Final = "config.json"
LEXICONS: Final = ("words", "spelling", "attributes")
HEAD: Final = tuple(field.name for field in fields(ContentMap))

Arrays = dict[str, npt.NDArray[Any]]


def save_folder(
    folder: Path,
    *,
    featurizer: Featurizer,
    head: ContentMap,
    network: MetaSiamese,
    population: Population,
) -> None:
    """Write a model into an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {f"together.{name}": getattr(head, name) for name in HEAD}
    for name, values in population.mean.items():
        arrays[f"population.mean.{name}"] = values.numpy()
        arrays[f"population.covariance.{name}"] = population.covariance[name].numpy()
    for name in ("photo", "text"):
        projection: Projection | None = getattr(featurizer, name)
        if projection is not None:
            arrays[f"{name}.mean"], arrays[f"{name}.axes"] = projection.mean, projection.axes
    if featurizer.general is not None:
        arrays |= space_arrays(featurizer.general)
    lexicons = {}
    for name in LEXICONS:
        lexicon: Lexicon | None = getattr(featurizer, name)
        if lexicon is not None:
            arrays[f"{name}.idf"], arrays[f"{name}.axes"] = lexicon.idf, lexicon.axes
            lexicons[name] = {"vocabulary": lexicon.vocabulary, "kind": asdict(lexicon.kind)}
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / ARRAYS)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_tensors(state, folder / NETWORK)
    config = {
        "widths": network.scorer.widths,
        "dates": network.date_term is not None,
        "learner": network.learner.name,
        "strangers": asdict(network.strangers),
        "price_range": featurizer.price_range,
        "lexicons": lexicons,
    }
    (folder / CONFIG).write_text(json.dumps(config))


def load_folder(folder: Path) -> tuple[Featurizer, ContentMap, MetaSiamese, Population]:
    """Read a model. Raises ArtifactError where a file is missing, torn or of another version."""
    missing = [name for name in (NETWORK, ARRAYS, CONFIG) if not (folder / name).exists()]
    if missing:
        raise ArtifactError(f"{folder} lacks {', '.join(missing)}; train the model again")
    try:
        config = json.loads((folder / CONFIG).read_text())
        arrays, weights = load_file(folder / ARRAYS), load_tensors(folder / NETWORK)
    except (SafetensorError, ValueError) as error:
        raise ArtifactError(
            f"{folder} is corrupt: {error}; name another model, or run `coldstart train` again"
        ) from error
    featurizer = Featurizer(
        photo=_projection(arrays, "photo"),
        text=_projection(arrays, "text"),
        words=_lexicon(arrays, config, "words"),
        spelling=_lexicon(arrays, config, "spelling"),
        attributes=_lexicon(arrays, config, "attributes"),
        price_range=tuple(config["price_range"]) if config["price_range"] else None,
        general=space_from_arrays(arrays),
    )
    if any(f"together.{name}" not in arrays for name in HEAD):
        raise ArtifactError(
            f"{folder} was trained by another version of the code; run `coldstart train` again"
        )
    head = ContentMap(**{name: arrays[f"together.{name}"] for name in HEAD})
    network = MetaSiamese(
        config["widths"], dates=config["dates"], generator=torch.Generator().manual_seed(0)
    )
    try:
        network.learner = build_learner(config["learner"], modalities=len(config["widths"]))
        network.load_state_dict(weights)
        network.strangers = PopularitySpread(**config.get("strangers", {}))
    except (KeyError, TypeError, ValueError, ConfigError, RuntimeError) as error:
        raise ArtifactError(
            f"{folder} was trained by another version of the code; run `coldstart train` again"
        ) from error
    population = Population(
        {name: torch.from_numpy(arrays[f"population.mean.{name}"]) for name in config["widths"]},
        {
            name: torch.from_numpy(arrays[f"population.covariance.{name}"])
            for name in config["widths"]
        },
    )
    return featurizer, head, network, population


def _projection(arrays: Arrays, name: str) -> Projection | None:
    if f"{name}.axes" not in arrays:
        return None
    return Projection(arrays[f"{name}.mean"], arrays[f"{name}.axes"])


def _lexicon(arrays: Arrays, config: dict[str, Any], name: str) -> Lexicon | None:
    if name not in config["lexicons"]:
        return None
    stored = config["lexicons"][name]
    kind = LexiconKind(**stored["kind"] | {"ngrams": tuple(stored["kind"]["ngrams"])})
    return Lexicon(stored["vocabulary"], arrays[f"{name}.idf"], arrays[f"{name}.axes"], kind=kind)

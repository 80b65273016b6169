"""Models in the Bento model store, each with the contract it was trained under.

A model is a plain folder (safetensors and JSON) that the model code writes and reads; this
module stores it, finds it and says whether the feature tables still are what it learned on.
The store is `home.models`: with ``BENTOML_HOME`` set to that folder, plain ``bentoml models
list`` shows the same models.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from coldstart_models.errors import ArtifactError, ContractMismatch
from feature_repo.feature_tables import (
    ENCODER,
    ENCODER_HASH,
    ITEM_IMAGE_EMBEDDING,
    ITEM_TEXT_EMBEDDING,
)
from feature_repo.home import Home
from validation.whole_files import file_hash

if TYPE_CHECKING:
    from bentoml._internal.models import Model, ModelStore

MODEL_NAME: Final = "coldstart-siamese"
LATEST: Final = "latest"
CONTRACT_KEY: Final = "contract"
FILES_KEY: Final = "files"
"""In Bento's metadata: a model's files and their SHA-256."""
METADATA_FILE: Final = "metadata.json"
_AGAIN: Final = (
    "name another by COLDSTART_MODEL (`coldstart info` lists them), or run `coldstart train`"
)
MODEL_FILE: Final = "model.yaml"
"""What Bento writes into each model's folder."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model was trained on, and so what the features must still be.

    An encoder's id and hash are empty where the model reads no such embedding.
    """

    feature_service: str
    image_encoder: str
    image_encoder_hash: str
    text_encoder: str
    text_encoder_hash: str
    vector_width: int
    """Width of the `item_vector` rows the model writes; 0 where it writes none."""
    code_version: str
    trained_at: datetime
    sources: tuple[str, ...]
    """Sources whose events it learned from; a record, not a condition."""
    columns: tuple[str, ...]
    """Feature columns it reads, as ``view:column``."""

    def __post_init__(self) -> None:
        if self.trained_at.tzinfo is None:
            raise ArtifactError(f"trained_at {self.trained_at} has no time zone; give UTC")
        if self.vector_width < 0:
            raise ArtifactError(f"vector_width is {self.vector_width}, expected 0 or more")

    def to_json(self) -> dict[str, Any]:
        """The contract as JSON values; :meth:`from_json` reads it back."""
        return {
            **asdict(self),
            "trained_at": self.trained_at.astimezone(UTC).isoformat(),
            "sources": list(self.sources),
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Contract":
        """Raises ArtifactError where a field is missing or unknown."""
        fields = set(cls.__dataclass_fields__)
        if set(values) != fields:
            odd = sorted(fields.symmetric_difference(values))
            raise ArtifactError(
                f"a contract has the fields {', '.join(sorted(fields))}; "
                f"missing or unknown: {', '.join(odd)}; train the model again"
            )
        return cls(
            **{
                **values,
                "trained_at": datetime.fromisoformat(values["trained_at"]),
                "sources": tuple(values["sources"]),
                "columns": tuple(values["columns"]),
            }
        )


@dataclass(frozen=True, slots=True)
class ObservedFeatures:
    """What the feature tables hold now. None means nothing was written there to compare."""

    image_encoder: str | None
    image_encoder_hash: str | None
    text_encoder: str | None
    text_encoder_hash: str | None
    columns: frozenset[str]
    """``view:column`` of every feature table."""
    feature_services: frozenset[str] | None = None
    """Registered feature services; None where the registry was not asked."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in the store."""

    tag: str
    path: Path
    contract: Contract
    metadata: dict[str, Any]
    created_at: datetime
    files: Mapping[str, str] = field(default_factory=dict)
    """File → SHA-256 as it was saved; empty of a model that an earlier release saved."""

    def require_whole(self) -> None:
        """Raise ArtifactError naming the first file that is not what was saved."""
        for name, saved in self.files.items():
            path = self.path / name
            if not path.is_file():
                raise ArtifactError(f"the model {self.tag} is corrupt: {name} is missing; {_AGAIN}")
            if file_hash(path) != saved:
                raise ArtifactError(
                    f"the model {self.tag} is corrupt: {name} ({path.stat().st_size} bytes) is not "
                    f"what was saved; {_AGAIN}"
                )


def save_model(
    folder: Path,
    *,
    contract: Contract,
    metadata: Mapping[str, Any],
    home: Home,
    name: str = MODEL_NAME,
) -> str:
    """Copy a model folder into the store; it becomes the latest. Returns its tag.

    `metadata` holds JSON values (measured qualities, seeds, …) and is kept beside the model's
    files. A save that is interrupted leaves the earlier latest in place.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise ArtifactError(f"{folder} is not a folder with model files; nothing was saved")
    if (folder / METADATA_FILE).exists():
        raise ArtifactError(f"{folder} already has a {METADATA_FILE}; pass it as `metadata`")
    store = _store(home)
    import bentoml.models
    from bentoml.exceptions import BentoMLException

    files = {
        path.relative_to(folder).as_posix(): file_hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    try:
        with bentoml.models.create(
            name,
            labels={"feature_service": contract.feature_service},
            metadata={CONTRACT_KEY: contract.to_json(), FILES_KEY: files},
            _model_store=store,
        ) as model:
            shutil.copytree(folder, model.path, dirs_exist_ok=True)
            Path(model.path, METADATA_FILE).write_text(json.dumps(dict(metadata), indent=2))
    except (BentoMLException, TypeError, ValueError, OSError) as error:
        raise ArtifactError(
            f"cannot save {folder} as {name!r} in {home.models}: {error}"
        ) from error
    return str(model.tag)


def find_model(home: Home, *, tag: str = LATEST, name: str = MODEL_NAME) -> StoredModel:
    """One stored model: ``latest`` (the most recently saved), a version or ``name:version``."""
    from bentoml.exceptions import BentoMLException

    asked = tag if ":" in tag else f"{name}:{tag}"
    try:
        return _stored(_store(home).get(asked))
    except BentoMLException as error:
        known = [model.tag for model in list_models(home, name=asked.partition(":")[0])]
        if not known:
            raise ArtifactError(f"no model in {home.models}; run `coldstart train`") from error
        raise ArtifactError(
            f"no model {asked} in {home.models}; `coldstart models list` tells all, the newest of "
            f"them {', '.join(known[-5:])}"
        ) from error


def model_tags(home: Home, *, name: str | None = None) -> list[str]:
    """Of every model that was saved to its end, sound or not."""
    folders = (home.models / "models").glob(f"{name or '*'}/*/{MODEL_FILE}")
    return [f"{path.parent.parent.name}:{path.parent.name}" for path in sorted(folders)]


def list_models(home: Home, *, name: str | None = None) -> list[StoredModel]:
    """Every whole model of ours, oldest first; `name` keeps those of one name.

    A folder that an interrupted save left behind is not a model and is passed over.
    """
    store = _store(home)
    folders = (home.models / "models").glob(f"{name or '*'}/*/{METADATA_FILE}")
    tags = [f"{path.parent.parent.name}:{path.parent.name}" for path in sorted(folders)]
    whole = [tag for tag in tags if (home.models / "models" / _path(tag) / MODEL_FILE).exists()]
    models = [store.get(tag) for tag in whole]
    ours = [model for model in models if CONTRACT_KEY in model.info.metadata]
    return [_stored(model) for model in sorted(ours, key=lambda model: model.creation_time)]


def observe_features(home: Home) -> ObservedFeatures:
    """What the offline feature tables hold: the encoders that filled them, and their columns."""
    image_encoder, image_hash = _encoder(home.feature_table(ITEM_IMAGE_EMBEDDING.name))
    text_encoder, text_hash = _encoder(home.feature_table(ITEM_TEXT_EMBEDDING.name))
    columns = frozenset(
        f"{path.stem}:{column}"
        for path in sorted(home.features.glob("*.parquet"))
        for column in pq.read_schema(path).names
    )
    return ObservedFeatures(image_encoder, image_hash, text_encoder, text_hash, columns)


def check_contract(contract: Contract, observed: ObservedFeatures) -> None:
    """Raise ContractMismatch naming every field in which the features differ."""
    differences = [
        f"{field}: the model was trained on {wanted!r}, the store holds {found!r}"
        for field, wanted, found in (
            ("image_encoder", contract.image_encoder, observed.image_encoder),
            ("image_encoder_hash", contract.image_encoder_hash, observed.image_encoder_hash),
            ("text_encoder", contract.text_encoder, observed.text_encoder),
            ("text_encoder_hash", contract.text_encoder_hash, observed.text_encoder_hash),
        )
        if wanted and wanted != found
    ]
    absent = sorted(set(contract.columns) - observed.columns)
    if absent:
        differences.append(f"columns: the store lacks {', '.join(absent)}")
    services = observed.feature_services
    if services is not None and contract.feature_service not in services:
        differences.append(
            f"feature_service: the model reads {contract.feature_service!r}, "
            f"the registry holds {', '.join(sorted(services)) or 'none'}"
        )
    if differences:
        raise ContractMismatch(
            "the model does not fit the feature store: "
            + "; ".join(differences)
            + ". Run `coldstart train` on these features, or serve the model's encoders again: "
            "`coldstart encoders use NAME`, or `coldstart encoders use --back` after a switch"
        )


def _store(home: Home) -> "ModelStore":
    """Bento's model store under our home, whatever BENTOML_HOME says.

    Bento reads BENTOML_HOME once a process; its public functions take another store, whose
    class it keeps internal.
    """
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    from bentoml._internal.models import ModelStore

    folder = home.models / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return ModelStore(folder)


def _path(tag: str) -> Path:
    """A model's folder in the store: ``name:version`` → ``name/version``."""
    name, _, version = tag.partition(":")
    return Path(name, version)


def _stored(model: "Model") -> StoredModel:
    if CONTRACT_KEY not in model.info.metadata:
        raise ArtifactError(f"{model.tag} has no contract; it was not saved by `coldstart train`")
    path = Path(model.path)
    return StoredModel(
        tag=str(model.tag),
        path=path,
        contract=Contract.from_json(model.info.metadata[CONTRACT_KEY]),
        metadata=json.loads((path / METADATA_FILE).read_text()),
        created_at=model.creation_time,
        files=dict(model.info.metadata.get(FILES_KEY, {})),
    )


def _encoder(path: Path) -> tuple[str | None, str | None]:
    """The one encoder that filled an embedding table, or every one of several, joined."""
    if not path.exists():
        return None, None
    table = pq.read_table(path, columns=[ENCODER, ENCODER_HASH])
    names = [sorted(set(table[column].to_pylist())) for column in (ENCODER, ENCODER_HASH)]
    ids, hashes = ("+".join(map(str, values)) or None for values in names)
    return ids, hashes

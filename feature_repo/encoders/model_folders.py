"""Folders of Hugging Face models: by path, from the hub's cache, or fetched from the hub."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from feature_repo.encoders.weights import encoder_hash, files_hash
from feature_repo.errors import EncoderError

WEIGHTS: Final = "*.safetensors"
OLD_WEIGHTS: Final = "*.bin"
POOLING: Final = "1_Pooling/config.json"
"""Where sentence-transformers says how token vectors become one."""
CARD: Final = "README.md"
READ: Final = ("*.json", "*.txt", "*.model", "*.spm", WEIGHTS)
"""Files at the top of a folder that decide what its vectors are, beside POOLING."""
STATED: Final = re.compile(r"^(license|license_name):\s*[\"']?([^\s\"']+)", re.MULTILINE)
UNSTATED: Final = "see the model's card"
IMAGE_FILES: Final = ("preprocessor_config.json", "processor_config.json")
TEXT_FILES: Final = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
"""What a model that reads photos, or texts, has in its folder."""
JOINT: Final = ("get_image_features", "get_text_features")
"""What a model has that puts photos and texts into one space."""


def model_folder(name: str) -> Path:
    """The folder itself, else the hub's snapshot of that name; the network only if not cached."""
    if Path(name).is_dir():
        return Path(name).resolve()
    if os.path.isabs(name) or name.startswith("."):
        raise EncoderError(f"there is no folder {name}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*READ, POOLING, CARD]))
        if not any(folder.glob(WEIGHTS)):
            snapshot_download(name, allow_patterns=[OLD_WEIGHTS])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise EncoderError(
            f"{name!r} is neither a folder nor a model in the hub's cache, and it cannot be "
            f"fetched: {str(error).splitlines()[0]} Where there is a network, run "
            f"`hf download {name} --local-dir FOLDER`, copy the folder and give its path"
        ) from error
    return folder


def cached_models(files: Collection[str]) -> list[str]:
    """The models in the hub's cache, by name, that have one of the files."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    return sorted(
        repository.repo_id
        for repository in repositories
        if repository.repo_type == "model"
        and any(
            file.file_name in files for revision in repository.revisions for file in revision.files
        )
    )


def model_hash(folder: Path) -> str:
    """sha256 over the files that transformers reads; cards and other formats do not count."""
    patterns = READ if any(folder.glob(WEIGHTS)) else (*READ, OLD_WEIGHTS)
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    pooling = {folder / POOLING} if (folder / POOLING).is_file() else set()
    return files_hash(folder, files | pooling)


def model_licence(folder: Path) -> str:
    """What the front matter of the model's card says, e.g. ``apache-2.0``."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    stated = dict(STATED.findall(front))
    licence = stated.get("license", UNSTATED)
    return str(stated.get("license_name", licence) if licence == "other" else licence)


def load_model(folder: Path, loader: Any, *, kind: str) -> tuple[Any, Any, set[str]]:
    """The processor or tokenizer, the model, and the names of weights the folder lacks.

    Only a pooler may be lacking: it would be random, and whoever reads the model goes without.

    Args:
        loader: the class of transformers that loads the processor or the tokenizer.
        kind: ``image`` or ``text``, for the message.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # transformers tells of lacking weights; it is told below
    try:
        processor = loader.from_pretrained(folder, local_files_only=True)
        model, report = AutoModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise EncoderError(
            f"{folder} is not a model of {kind}s that transformers can load: {error}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    missing = {str(name) for name in report["missing_keys"]}
    random = sorted(name for name in missing if "pooler." not in name)
    if random:
        raise EncoderError(
            f"{folder} lacks {len(random)} of the model's weights, first {random[0]}; they would "
            "be random. Fetch the model again, or give one that was saved whole"
        )
    return processor, model, missing


def shared_space(model: Any, digest: str) -> str | None:
    """What the photo and text encoders of one joint model have in common; None of other models.

    Args:
        digest: `model_hash` of its folder.
    """
    joint = all(hasattr(model, name) for name in JOINT)
    return encoder_hash(digest, {"space": "joint"}) if joint else None

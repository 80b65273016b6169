"""Results that are measured once: a file each, named by all that the result depends on.

The name holds a hash of what was asked, of the data and of the code that measures it, so a run
takes up what an earlier one left and measures again what has changed since.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.code_versions import code_version
from validation.whole_files import replacing


def kept_path(
    folder: Path,
    name: str,
    *,
    asked: Sequence[object],
    fingerprint: Sequence[str | int],
    modules: Sequence[str],
) -> Path:
    """Where a result is, or will be.

    Args:
        name: what people know it by; the file's name begins with it.
        asked: what is measured and how, as JSON values.
        fingerprint: of the data: other data is another result.
        modules: what measures it; all that they import of the project counts.
    """
    told = [*asked, list(fingerprint), *(code_version(module) for module in modules)]
    return folder / f"{name}-{digest_of(told)}.json"


def kept(path: Path, measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The result at a path; measured and written there, whole or not at all, where it is absent."""
    if not path.exists():
        write(measure(), path)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write a result, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(result), encoding="utf-8")


def index(paths: Sequence[Path], into: Path) -> None:
    """Write down which results a table was made of; those that are there."""
    there = [path.relative_to(into.parent).as_posix() for path in paths if path.exists()]
    write({"cells": there}, into)


def indexed(path: Path) -> list[dict[str, Any]]:
    """The results that an index names, without those that are gone; none where it is not there."""
    if not path.exists():
        return []
    names = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = (path.parent / name for name in names)
    return [json.loads(one.read_text(encoding="utf-8")) for one in found if one.exists()]


def digest_of(told: object) -> str:
    """Sixteen hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

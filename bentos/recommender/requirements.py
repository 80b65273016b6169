"""Which packages a Bento installs: of the lock, what the service needs, with one build of torch.

The lock also holds what develops, tests and compares. What the service needs is what the
distribution asks for, and what that asks for in turn; it is found in the installed metadata.
"""

import importlib.metadata
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import bentoml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

DISTRIBUTION: Final = "coldstart-home"
EXTRAS: Final = frozenset({"postgres"})
"""Of the distribution: stores that a served environment may name."""
TORCH_PACKAGES: Final = ("torch", "torchvision")
CUDA_ONLY: Final = re.compile(r"(triton|cuda-[a-z-]+|nvidia-(?!ml-py$)[a-z0-9-]+)")
"""What only the CUDA build of torch asks for; nvidia-ml-py is BentoML's own."""
BLOCK: Final = re.compile(r"^([A-Za-z0-9._-]+)[^\n]*\n(?:[ \t]+[^\n]*\n)*", re.MULTILINE)
"""One package of the lock: its line, and those of its hashes."""


class Torch(StrEnum):
    """The build of torch that a Bento installs."""

    CUDA = "cuda"
    """PyPI's, of the lock by hash: on Linux with CUDA, and it runs without a GPU too."""
    CPU = "cpu"
    """PyTorch's own, without CUDA, by uv's torch backend; these two alone are without hashes."""

    @classmethod
    def asked(cls) -> "Torch":
        """As ``bentoml build --arg torch=cpu`` or ``coldstart build --torch cpu`` said."""
        return bentoml.use_arguments(_Arguments).torch

    def variables(self) -> dict[str, str]:
        """Environment of the image's build: uv takes torch from PyTorch's index of this backend."""
        if self is Torch.CPU:
            return {"UV_TORCH_BACKEND": "cpu"}
        return {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}


class _Arguments(BaseModel):
    torch: Torch = Torch.CUDA


def requirements(lock: Path, *, torch: Torch) -> str:
    """The part of the lock that the service needs; what the distribution asks for without one."""
    needed = needed_packages()
    if not lock.is_file():
        asked = [f"{line}\n" for line in importlib.metadata.requires(DISTRIBUTION) or []]
        return "".join(line for line in asked if "extra ==" not in line)
    blocks = []
    for block in BLOCK.finditer(lock.read_text()):
        name = canonicalize_name(block.group(1))
        if name not in needed or (torch is Torch.CPU and CUDA_ONLY.fullmatch(name)):
            continue
        bare = torch is Torch.CPU and name in TORCH_PACKAGES
        blocks.append(_without_hashes(block.group()) if bare else block.group())
    return "".join(blocks)


def named_packages(text: str) -> list[str]:
    """The names that a text of requirements begins its lines with."""
    starts = (line for line in text.splitlines() if line[:1].isalnum())
    return [canonicalize_name(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in starts]


def installed_bytes(names: Iterable[str]) -> int:
    """What the packages take on disk as they are installed here; those that are not take none.

    Where the torch at hand has CUDA and the Bento's will not, this is more than it will take.
    """
    return sum(file.size or 0 for name in names for file in _files_of(name))


def _files_of(name: str) -> list[importlib.metadata.PackagePath]:
    try:
        return importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:
        return []


def needed_packages() -> frozenset[str]:
    """What the distribution needs on whatever platform, all the way down, by canonical name."""
    found: set[str] = set()
    ahead = [(DISTRIBUTION, EXTRAS)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while ahead:
        name, extras = ahead.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for line in _asked_by(name):
            one = Requirement(line)
            if _is_of_extras(one, extras):
                needed = canonicalize_name(one.name)
                found.add(needed)
                ahead.append((needed, frozenset(one.extras)))
    return frozenset(found)


def _asked_by(name: str) -> list[str]:
    """Nothing where it is not installed: it is of another platform, and asks for nothing here."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _is_of_extras(one: Requirement, extras: frozenset[str]) -> bool:
    """Whether it is asked for with these extras; other conditions are the lock's business."""
    if one.marker is None or "extra" not in str(one.marker):
        return True
    named = re.findall(r"extra == ['\"]([^'\"]+)['\"]", str(one.marker))
    return not {canonicalize_name(name) for name in named}.isdisjoint(
        canonicalize_name(extra) for extra in extras
    )


def _without_hashes(block: str) -> str:
    """``torch==2.14.1 ; marker`` of a package's lines in the lock."""
    return block.splitlines()[0].removesuffix("\\").rstrip() + "\n"

"""Which code a model's result depends on, as one hash: what its module imports of the project."""

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from benchmarks.peers.registry import BASELINES, PUBLISHED
from coldstart_models.models import build_ranker

PROJECT: Final = Path(__file__).resolve().parents[1]
PROTOCOL: Final = ("coldstart_models.metrics", "coldstart_models.data.pools")
"""What every result depends on."""
ALONE: Final = (
    "benchmarks.cells",
    "benchmarks.peers.registry",
    "coldstart_models.benchmark_run",
    "coldstart_models.benchmarking",
    "coldstart_models.models",
)
"""So does every one on these, but not on all that they import: every model, every source."""
PACKAGES: Final = ("validation", "feature_repo", "coldstart_models", "benchmarks")
WORDS: Final = frozenset({"coldstart_models.errors"})
"""What changes no result: names and texts of errors."""


def model_module(model: str) -> str:
    """The module that the model's ranker is in."""
    if model in BASELINES:
        return BASELINES[model].__module__
    if model in PUBLISHED:
        return str(PUBLISHED[model].settings.__module__)
    return str(type(build_ranker(model, truth=pd.DataFrame())).__module__)


@cache
def code_version(module: str) -> str:
    """A hash of the module and all it imports of the project, comments and docstrings apart."""
    tuned = ("benchmarks.peers.tuning",) if module.startswith("benchmarks.peers") else ()
    return _hash(module, *tuned, *PROTOCOL, alone=ALONE)


@cache
def data_version() -> str:
    """A hash of the code that makes stored data of a source."""
    return _hash("feature_repo.jobs.ingest")


def _hash(*modules: str, alone: Sequence[str] = ()) -> str:
    found: dict[Path, str] = {}
    for name in alone:
        path = _path(name)
        if path.exists():
            found[path] = _told(path)[1]
    for name in modules:
        _follow(name, found)
    text = "\n".join(found[path] for path in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _follow(module: str, found: dict[Path, str]) -> None:
    path = _path(module)
    if module in WORDS or module.partition(".")[0] not in PACKAGES:
        return
    if path in found or not path.exists():
        return
    tree, found[path] = _told(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{one.name}" for one in node.names)):
                _follow(name, found)


def _path(module: str) -> Path:
    return PROJECT / (module.replace(".", "/") + ".py")


def _told(path: Path) -> tuple[ast.Module, str]:
    """A module, and all that it does as one text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tree, ast.dump(_Undocumented().visit(tree))


class _Undocumented(ast.NodeTransformer):
    """Takes out strings that stand alone: docstrings of modules, classes, functions and names."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node

"""What a Bento installs, and the Dockerfile that `bentoml containerize` would build."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bentos.recommender.packing import package_folder
from bentos.recommender.requirements import (
    Torch,
    installed_bytes,
    named_packages,
    needed_packages,
    requirements,
)
from coldstart_models.artifacts import find_model
from feature_repo.home import Home
from tests.bentos.test_bento import run

LOCK = package_folder("bentos").parent / "requirements.txt"
DOCKERFILE = """
import sys
from pathlib import Path
import bentoml
from bentoml._internal.container import construct_containerfile
with construct_containerfile(bentoml.get(sys.argv[1]), add_header=True) as (folder, path):
    print(Path(path).read_text())
    print("# MODELS", sorted(one.name for one in Path(folder, "models").iterdir()))
"""


def names(text: str) -> set[str]:
    return {line.partition("==")[0] for line in text.splitlines() if line[:1].isalnum()}


def test_a_bento_installs_what_the_service_needs_and_not_what_tests_it() -> None:
    packed = requirements(LOCK, torch=Torch.CUDA)
    assert {"torch", "bentoml", "feast", "redis", "psycopg", "great-expectations"} <= names(packed)
    assert names(packed).isdisjoint({"pytest", "ruff", "ray", "lightgbm", "implicit"})
    assert {line for line in packed.splitlines() if line} <= set(LOCK.read_text().splitlines())
    assert "opentelemetry-api" in needed_packages()  # that a package which is asked for asks for


def test_the_cpu_variant_has_no_cuda_and_torch_of_the_locked_version() -> None:
    packed, whole = requirements(LOCK, torch=Torch.CPU), requirements(LOCK, torch=Torch.CUDA)
    left_out = names(whole) - names(packed)
    assert left_out
    assert all(re.match("nvidia-|cuda-|triton$", name) for name in left_out)
    assert "nvidia-ml-py" in names(packed)
    blocks = packed.split("\n")
    bare = [line for line, after in itertools.pairwise(blocks) if _bare(line, after)]
    assert [line.partition("==")[0] for line in bare] == ["torch", "torchvision"]
    locked = [
        line.split("==")[1].split()[0]
        for line in LOCK.read_text().splitlines()
        if line.startswith(("torch==", "torchvision=="))
    ]
    assert [line.split("==")[1].split()[0] for line in bare] == locked


def _bare(line: str, after: str) -> bool:
    """Whether a package of the requirements has no hash."""
    return line[:1].isalnum() and not after.startswith("    --hash")


def test_what_packages_take_is_counted_where_they_are_installed() -> None:
    text = "torch==2.14.1 ; python_version < '4' \\\n    --hash=sha256:0\nZope.Event[x]>=1\n"
    assert named_packages(text) == ["torch", "zope-event"]
    assert installed_bytes(["torch"]) > 100_000_000
    assert installed_bytes(["torch", "of-another-platform"]) == installed_bytes(["torch"])
    whole, packed = (
        installed_bytes(named_packages(requirements(LOCK, torch=torch)))
        for torch in (Torch.CUDA, Torch.CPU)
    )
    assert whole >= packed > installed_bytes(["torch"])


def test_without_a_lock_it_is_what_the_distribution_asks_for(tmp_path: Path) -> None:
    asked = requirements(tmp_path / "none", torch=Torch.CPU)
    assert "torch==" in asked
    assert "pytest" not in asked


@pytest.mark.slow
@pytest.mark.parametrize("torch", ["cpu", "cuda"])
def test_the_dockerfile_of_each_variant_holds_what_it_must(
    home: Home, tmp_path: Path, torch: str
) -> None:
    built = run("bentos.recommender.build", "--torch", torch, "--json", home=home)
    assert built.returncode == 0, built.stderr
    told = json.loads(built.stdout)
    assert told["torch"] == torch
    assert told["bytes"]["code"] > 500_000 > told["bytes"]["model"] > 0
    assert told["bytes"]["installed"] > 100_000_000
    script = tmp_path / "dockerfile.py"
    script.write_text(DOCKERFILE)
    shown = run_script(script, told["bento"], home=home)
    text, _, models = shown.partition("# MODELS")
    assert find_model(home).tag.partition(":")[0] in models  # the image brings its model along

    steps = parsed(text)
    kinds = [kind for kind, _ in steps]
    assert kinds[0] in ("FROM", "ARG")
    assert kinds[-1] == "ENTRYPOINT"
    users = [value for kind, value in steps if kind == "USER"]
    assert users == ["bentoml"]  # nothing after it runs as root
    assert kinds.index("USER") > max(n for n, kind in enumerate(kinds) if kind == "RUN")
    assert any(kind == "ENV" and value.startswith("BENTOML_DO_NOT_TRACK") for kind, value in steps)
    environment = {value.partition("=")[0] for kind, value in steps if kind == "ENV"}
    installs = next(n for n, (_, value) in enumerate(steps) if "uv --directory" in value)
    if torch == "cpu":
        place = next(n for n, step in enumerate(steps) if step == ("ARG", "UV_TORCH_BACKEND=cpu"))
        assert place < installs  # uv takes torch from PyTorch's index of CPU builds
        assert "NVIDIA_VISIBLE_DEVICES" not in environment
    else:
        assert "UV_TORCH_BACKEND" not in environment
        assert {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"} <= environment
    assert any("install -d -o bentoml -g bentoml /var/lib/coldstart" in value for _, value in steps)
    assert ("EXPOSE", "3000") in steps
    lint(text, tmp_path)


def run_script(script: Path, *arguments: str, home: Home) -> str:
    import os

    environment = {**os.environ, "BENTOML_HOME": str(home.models), "BENTOML_DO_NOT_TRACK": "true"}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def parsed(text: str) -> list[tuple[str, str]]:
    """Instruction and argument, continued lines joined, comments and blanks left out."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line.strip() for line in joined.splitlines()]
    steps = [line for line in lines if line and not line.startswith("#")]
    found = [(one.partition(" ")[0], " ".join(one.partition(" ")[2].split())) for one in steps]
    known = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "EXPOSE", "USER", "ENTRYPOINT"}
    assert {kind for kind, _ in found} <= known, found
    return found


def lint(text: str, folder: Path) -> None:
    """hadolint, which parses it as a builder does; only what is not Bento's own template counts."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint is not installed: make setup installs it with the dev tools"
    path = folder / "Dockerfile"
    path.write_text(text)
    command = [hadolint, "--no-color", "--failure-threshold", "error", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

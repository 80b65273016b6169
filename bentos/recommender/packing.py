"""How a Bento carries the project: the code that built it and the versions it ran with.

A Bento's build folder may not reach outside itself, and our packages stand beside
`bentos/`, not in it. So the image copies them into the Bento's `src`, from which Bento
imports: plain ``bentoml build`` and ``coldstart build`` make the same Bento.
"""

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path
from typing import Any, Final

from bentoml.images import Image

PACKAGES: Final = ("validation", "feature_repo", "coldstart_models", "bentos")
DISTRIBUTION: Final = "coldstart-home"
LOCK: Final = "requirements.txt"


class ProjectImage(Image):
    """The image of our Bentos: locked requirements, and the project's packages in `src`."""

    def freeze(self, bento_fs: Path, envs: list[Any], platform_: str | None = None) -> Any:
        copy_packages(bento_fs / "src")
        return super().freeze(bento_fs, envs, platform_)

    def _freeze_python_requirements(self, bento_fs: Path, platform_: str | None = None) -> str:
        """Our lock as it is. Bento's own step would ask for uv, and lock anew over the network."""
        return requirements()


def copy_packages(target: Path) -> None:
    """Copy the project's packages, as they are imported here, into the folder."""
    for name in PACKAGES:
        shutil.copytree(package_folder(name), target / name, ignore=_left_out, dirs_exist_ok=True)


def package_folder(name: str) -> Path:
    """Where a package of ours is imported from. Raises ModuleNotFoundError if it is not."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {name!r}; install the project first (make setup)")
    return Path(spec.submodule_search_locations[0])


def requirements() -> str:
    """The lock of the checkout, or what the installed distribution asks for without one."""
    lock = package_folder("bentos").parent / LOCK
    if lock.is_file():
        return lock.read_text()
    declared = importlib.metadata.requires(DISTRIBUTION) or []
    return "".join(f"{line}\n" for line in declared if "extra ==" not in line)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Compiled files, and the state that may stand inside the feature repository."""
    state = "data" if Path(folder).name == "feature_repo" else None
    return [name for name in names if name in ("__pycache__", state)]

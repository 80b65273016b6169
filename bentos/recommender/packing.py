"""How a Bento carries the project: the code that built it and the versions it ran with.

A Bento's build folder may not reach outside itself, and our packages stand beside
`bentos/`, not in it. So the image copies them into the Bento's `src`, from which Bento
imports: plain ``bentoml build`` and ``coldstart build`` make the same Bento.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any, Final

from bentoml.images import Image

from bentos.recommender.requirements import Torch, requirements

PACKAGES: Final = ("validation", "feature_repo", "coldstart_models", "bentos")
LOCK: Final = "requirements.txt"
STATE_FOLDER: Final = "/var/lib/coldstart"
"""Where a container expects the state folder; a volume that is mounted there takes its owner."""
OWNER: Final = "bentoml"
"""Bento's user in its containers, of number 1034."""


class ProjectImage(Image):
    """The image of our Bentos: locked requirements, and the project's packages in `src`."""

    def freeze(self, bento_fs: Path, envs: list[Any], platform_: str | None = None) -> Any:
        copy_packages(bento_fs / "src")
        return super().freeze(bento_fs, envs, platform_)

    def _freeze_python_requirements(self, bento_fs: Path, platform_: str | None = None) -> str:
        """Of our lock. Bento's own step would ask for uv, and lock anew over the network."""
        return requirements(package_folder("bentos").parent / LOCK, torch=Torch.asked())


def project_image() -> ProjectImage:
    """A state folder that Bento's user owns is the one addition to Bento's own image."""
    image = ProjectImage(lock_python_packages=False)
    image.post_commands.append(f"install -d -o {OWNER} -g {OWNER} {STATE_FOLDER}")
    return image


def image_variables() -> list[dict[str, str]]:
    """Environment of an image, while it is built and when it runs, by the variant of torch."""
    told = {"BENTOML_DO_NOT_TRACK": "true", **Torch.asked().variables()}
    return [{"name": name, "value": value} for name, value in told.items()]


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


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Compiled files, and the state that may stand inside the feature repository."""
    state = "data" if Path(folder).name == "feature_repo" else None
    return [name for name in names if name in ("__pycache__", state)]

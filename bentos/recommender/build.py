"""Build a Bento of the service and the model it serves: ``python -m bentos.recommender.build``."""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coldstart_models.artifacts import find_model
from coldstart_models.errors import ModelError
from coldstart_models.served_model import served_tag
from feature_repo.home import Home

HERE: Final = Path(__file__).resolve().parent
MIB: Final = 2**20
GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Built:
    """A Bento and what it weighs, in bytes."""

    tag: str
    folder: Path
    torch: str
    packages: int
    """How many the requirements name."""
    installed: int
    """What these take as installed here: what an image will weigh, its base apart."""
    code: int
    description: int
    """Requirements, API and Dockerfile."""
    model: int

    def told(self) -> str:
        """For a person."""
        parts = {"code": self.code, "description": self.description, "model": self.model}
        sizes = ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in parts.items())
        total = sum(parts.values()) / MIB
        return (
            f"{self.tag}\n{total:.1f} MiB: {sizes}; it installs {self.packages} packages, torch "
            f"{self.torch}, {self.installed / GIB:.2f} GiB as they are installed here"
        )

    def to_json(self, home: Home) -> dict[str, Any]:
        """For a program."""
        return {
            "bento": self.tag,
            "bentoml_home": str(home.models),
            "folder": str(self.folder),
            "torch": self.torch,
            "packages": self.packages,
            "bytes": {
                "code": self.code,
                "description": self.description,
                "model": self.model,
                "installed": self.installed,
            },
        }


def build_bento(home: Home, *, model: str | None = None, torch: str = "cuda") -> Built:
    """Build a Bento that names the model it serves, in the home's Bento store.

    Bento reads BENTOML_HOME once a process: call this where it is not yet imported, or where
    it already points to `home.models`.

    Args:
        model: tag or version; by default the one that is served.
        torch: which build of torch its requirements install; see `requirements.Torch`.
    """
    stored = find_model(home, tag=model or served_tag(home))
    os.environ["BENTOML_HOME"] = str(home.models)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    import bentoml
    import yaml  # type: ignore[import-untyped]

    from bentos.recommender.requirements import installed_bytes, named_packages

    options = yaml.safe_load((HERE / "bentofile.yaml").read_text())
    bento = bentoml.bentos.build(
        **options, models=[stored.tag], build_ctx=str(HERE), args={"torch": torch}
    )
    folder = Path(bento.path)
    requirements = (folder / "env" / "python" / "requirements.txt").read_text()
    packages = named_packages(requirements)
    code = _size(folder / "src")
    return Built(
        tag=str(bento.tag),
        folder=folder,
        torch=torch,
        packages=len(packages),
        installed=installed_bytes(packages),
        code=code,
        description=_size(folder) - code,
        model=_size(stored.path),
    )


def main() -> None:
    """Print the tag and the size; exit with 2 and one line where there is no model."""
    parser = argparse.ArgumentParser(prog="bentos.recommender.build", description=__doc__)
    parser.add_argument("--model", help="tag or version of the model; the served one by default")
    parser.add_argument("--torch", choices=["cuda", "cpu"], default="cuda", help="build of torch")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    home = Home.current()
    try:
        built = build_bento(home, model=options.model, torch=options.torch)
    except ModelError as error:
        print(f"coldstart: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    print(json.dumps(built.to_json(home)) if options.json else built.told())


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()

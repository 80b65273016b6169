"""What runs of pretraining found, on disk: a stopped job does not repeat those that are over."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from coldstart_models.general.contrast import GeneralSchedule
from coldstart_models.general.corpus import Corpus
from validation.whole_files import replacing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """A file with the curves of the runs that are over, in the order of the shops left out."""

    path: Path

    def read(self, key: str) -> list[list[float]]:
        """Those of the problem; none where the file is of another one, or cannot be read."""
        if not self.path.exists():
            return []
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            found: list[list[float]] = kept["curves"]
        except (OSError, ValueError, KeyError, TypeError):
            logger.warning("%s cannot be read: pretraining starts anew", self.path)
            return []
        if kept.get("key") != key:
            logger.info("%s is of another problem: pretraining starts anew", self.path)
            return []
        logger.info("pretraining goes on after %d runs of %s", len(found), self.path)
        return found

    def keep(self, key: str, curves: Sequence[Sequence[float]]) -> None:
        """Write them, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as partial:
            partial.write_text(json.dumps({"key": key, "curves": curves}), encoding="utf-8")

    def remove(self) -> None:
        """When the model is stored."""
        self.path.unlink(missing_ok=True)


def problem_key(
    corpora: Sequence[Corpus], *, seed: int, schedule: GeneralSchedule, device: torch.device
) -> str:
    """A hash of all that decides how the runs go."""
    told = [seed, schedule, device.type, version("coldstart-home")]
    digest = hashlib.sha256(repr(told).encode())
    for corpus in corpora:
        digest.update(corpus.name.encode())
        for name, values in corpus.values.items():
            digest.update(name.encode() + values.tobytes())
        digest.update(corpus.user.tobytes() + corpus.content.tobytes())
    return digest.hexdigest()

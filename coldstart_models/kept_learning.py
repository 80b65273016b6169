"""What learning has reached, in one file: a stopped job goes on where it was."""

import logging
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from validation.whole_files import replacing

logger = logging.getLogger(__name__)
KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class KeptLearning:
    """The file of one problem."""

    path: Path
    key: str
    """Of the problem: a file of another one is not taken up."""

    def write(self, parts: Mapping[str, Any]) -> None:
        """Whole or not at all; tensors, and what JSON has."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as partial:
            torch.save({KEY: self.key, **parts}, partial)

    def read(self, *, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """What was written; None where there is nothing of this problem, or it cannot be read."""
        if not self.path.exists():
            return None
        try:
            parts: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
            logger.warning("the checkpoint %s cannot be read: learning starts anew", self.path)
            return None
        if parts.pop(KEY, None) != self.key:
            logger.info("the checkpoint %s is of another problem: learning starts anew", self.path)
            return None
        return parts

    def remove(self) -> None:
        """When the job is over and its result stored."""
        self.path.unlink(missing_ok=True)

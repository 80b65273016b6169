"""What learning has reached, on disk: a stopped job goes on where it was, to the same end."""

import copy
import json
import logging
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.kept_learning import KeptLearning

logger = logging.getLogger(__name__)

State = dict[str, Tensor]


@dataclass(slots=True)
class Course:
    """How far one stage of learning is, beside its parameters."""

    best: float
    """Validation NDCG@10 of the parameters that are kept."""
    best_state: State
    step: int = 0
    kept: int = 0
    """Step whose parameters are kept."""
    stale: int = 0
    """Checks since then."""
    checks: list[tuple[int, float]] = field(default_factory=list)
    """(step, validation NDCG@10)"""


class Checkpoint(KeptLearning):
    """One stage's file."""

    def save(
        self,
        course: Course,
        model: nn.Module,
        scale: Tensor,
        optimizer: torch.optim.Optimizer,
        generator: np.random.Generator,
    ) -> None:
        """Write it, whole or not at all."""
        parts = {
            "course": {one.name: getattr(course, one.name) for one in fields(course)},
            "model": model.state_dict(),
            "scale": scale.detach(),
            "optimizer": optimizer.state_dict(),
            "generator": json.dumps(generator.bit_generator.state),
        }
        self.write(parts)

    def restore(
        self,
        model: nn.Module,
        scale: nn.Parameter,
        optimizer: torch.optim.Optimizer,
        generator: np.random.Generator,
    ) -> Course | None:
        """Put everything back as it was; None, and nothing changed, where there is no such file."""
        parts = self.read()
        if parts is None:
            return None
        before = copy.deepcopy(model.state_dict())
        try:
            course = Course(**parts["course"])
            model.load_state_dict(parts["model"])
            optimizer.load_state_dict(parts["optimizer"])
        except (RuntimeError, KeyError, TypeError, ValueError):
            logger.warning("the checkpoint %s is of other code: learning starts anew", self.path)
            model.load_state_dict(before)
            return None
        with torch.no_grad():
            scale.copy_(parts["scale"])
        generator.bit_generator.state = json.loads(parts["generator"])
        logger.info("learning goes on from step %d of %s", course.step, self.path)
        return course

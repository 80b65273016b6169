"""A network from nothing: its classes are a source's, its features like a teacher's.

    L = CE(classes) + 1 − cos(A f(x), t(x))

with f the network's features, t the vectors of an encoder that has learned elsewhere and A a linear
map. Distillation of features: Romero et al., "FitNets" (ICLR 2015), section 2.2. For networks whose
published weights are not at hand: what comes out is a weights file as torchvision's are.

A stopped run goes on after its last whole epoch, to the same end: a checkpoint beside the file
holds what the next epoch depends on.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from coldstart_models import usual
from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.domain.examples import Examples, cut
from coldstart_models.domain.views import view
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.kept_learning import KeptLearning
from coldstart_models.learning_costs import Cost, Meter
from coldstart_models.progress import Progress
from coldstart_models.retrieval import unit
from coldstart_models.siamese.curves import Curves
from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import Encoder
from feature_repo.encoders.images import white_square
from feature_repo.encoders.resnet import INPUT
from feature_repo.encoders.running import has_bfloat16
from feature_repo.encoders.torchvision_models import last_layer, untrained
from validation.whole_files import replacing

SMALLEST: Final = 32
"""Side of a photo in pixels below which nothing is left of it at the network's end."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a network is learned from nothing."""

    network: str = "resnet50"
    size: int = usual.NETWORK_SIZE
    """Side of the photos in pixels; 224 is what they are encoded at later."""
    epochs: int = usual.NETWORK_EPOCHS
    batch: int = usual.NETWORK_BATCH
    rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < SMALLEST or self.epochs < 1 or self.batch < 2:
            raise ConfigError(
                f"size {self.size}, epochs {self.epochs} and batch {self.batch} must be at least "
                f"{SMALLEST}, 1 and 2"
            )
        if not 0 <= self.rate < inf or self.seed < 0:
            raise ConfigError(f"rate {self.rate} and seed {self.seed} must be numbers of 0 or more")


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of it."""

    file: Path
    photos: int
    classes: int
    loss: tuple[float, ...]
    """Mean of each epoch."""
    accuracy: float
    """Of the classes, on photos that were not learned from."""
    cost: Cost


def begin(
    source: Examples,
    setting: Beginning,
    *,
    out: Path,
    device: str,
    teacher: Encoder | None = None,
    progress: Progress | None = None,
    curves: Curves | None = None,
) -> Begun:
    """Learn a network of torchvision from a source's photos, and write its weights to `out`; a run
    of the same photos and setting that was stopped is gone on with.

    Copies of a photo are all learned from, or none of them is.

    Args:
        device: as `processes.found_device` takes it.
        curves: told the loss and the rate of every step.

    Raises:
        NotEnoughData: no class has five photos.
        ConfigError: the network cannot learn so, or not from photos of that size, or there is no
            such device.
    """
    meter = Meter.of(device, 1)
    chosen = source.take(np.flatnonzero(source.with_photo))
    rows, groups = np.arange(len(chosen)), chosen.groups()
    parts = cut(rows, validate=0.15, hold=0.0, seed=setting.seed, groups=groups)
    labels = chosen.labels(parts.learn)
    learned = parts.learn[labels[parts.learn] >= 0]
    if not len(learned):
        raise NotEnoughData("no class has five photos to learn a network from")
    paths = [path for path in chosen.photos if path is not None]
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        pupil = _Pupil(setting.network, int(labels.max()) + 1, teacher)
    _require_fit(pupil, setting)
    pupil.to(meter.device).to(memory_format=torch.channels_last)
    targets = _vectors(teacher, paths) if teacher is not None else None
    taught_by = teacher.hash if teacher is not None else ""
    problem = [asdict(setting), chosen.digest(), labels.tolist(), taught_by]
    checkpoint = _Checkpoint(
        out.with_name(f".{out.name}.checkpoint"), sha256(json.dumps(problem).encode()).hexdigest()
    )
    with torch.random.fork_rng():
        told = meter.counting(progress)
        losses = _learn(pupil, setting, learned, labels, paths, targets, checkpoint, told, curves)
    accuracy = _accuracy(pupil, setting, parts.validate, labels, paths)
    pupil.restore_classifier()
    state = {name: value.cpu() for name, value in pupil.network.state_dict().items()}
    with replacing(out) as partial:
        torch.save(state, partial)
    checkpoint.remove()
    classes = int(labels.max()) + 1
    return Begun(out, len(learned), classes, tuple(losses), accuracy, meter.cost())


def _require_fit(pupil: "_Pupil", setting: Beginning) -> None:
    """Try the network on two photos' numbers, before any photo is read."""
    pupil.eval()
    try:
        with torch.no_grad():
            pupil(torch.zeros(2, 3, setting.size, setting.size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"{setting.network} takes no photos of {setting.size} pixels ({error}); give --size "
            "224, or another network"
        ) from error


class _Pupil(nn.Module):
    """A network whose features are read as well as its classes."""

    def __init__(self, name: str, classes: int, teacher: Encoder | None) -> None:
        super().__init__()
        self.network = untrained(name, classes=classes)
        self._place = last_layer(self.network)
        layer = self.network.get_submodule(self._place)
        if not isinstance(layer, nn.Linear):
            raise ConfigError(f"{name} has no linear classifier; choose another network")
        self.classifier = layer
        self.network.set_submodule(self._place, nn.Identity())
        self.likeness = nn.Linear(layer.in_features, teacher.width) if teacher else None

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, F)"""
        features: Tensor = self.network(pixels)
        return features.flatten(1)

    def restore_classifier(self) -> None:
        """Put the network together as torchvision has it."""
        self.network.set_submodule(self._place, self.classifier)


class _Checkpoint(KeptLearning):
    """What a run has reached after an epoch."""

    def save(self, losses: list[float], generator: np.random.Generator, *parts: Any) -> None:
        """`parts` have states."""
        self.write(
            {
                "losses": losses,
                "generator": json.dumps(generator.bit_generator.state),
                "parts": [part.state_dict() for part in parts],
            }
        )

    def restore(
        self, generator: np.random.Generator, *parts: Any, device: torch.device
    ) -> list[float]:
        """Each whole epoch's loss, everything as it was after them; none where there is no file of
        this problem."""
        content = self.read(device=device)
        if content is None:
            return []
        generator.bit_generator.state = json.loads(content["generator"])
        for part, state in zip(parts, content["parts"], strict=True):
            part.load_state_dict(state)
        return list(content["losses"])


def _learn(
    pupil: _Pupil,
    setting: Beginning,
    rows: IntArray,
    labels: IntArray,
    paths: list[Path],
    targets: FloatMatrix | None,
    checkpoint: _Checkpoint,
    progress: Progress,
    curves: Curves | None,
) -> list[float]:
    """The mean loss of each epoch; draws by torch's own generator are seeded anew at each."""
    generator = np.random.default_rng(setting.seed)
    per_epoch = max(1, len(rows) // setting.batch)
    optimizer = torch.optim.AdamW(pupil.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, setting.rate, total_steps=per_epoch * setting.epochs
    )
    device = next(pupil.parameters()).device
    losses = checkpoint.restore(generator, pupil, optimizer, schedule, device=device)
    pupil.train()
    for epoch in range(len(losses), setting.epochs):
        torch.manual_seed(setting.seed + epoch)
        order, total = generator.permutation(rows), 0.0
        for number in range(per_epoch):
            chosen = order[number * setting.batch : (number + 1) * setting.batch]
            pixels = _pixels(paths, chosen, setting.size, generator).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
                features = pupil(pixels)
                logits = pupil.classifier(features)
                wanted = torch.from_numpy(labels[chosen]).to(device)
                loss = functional.cross_entropy(logits.float(), wanted)
                if targets is not None and pupil.likeness is not None:
                    like = pupil.likeness(features).float()
                    taught = torch.from_numpy(targets[chosen]).to(device)
                    loss = loss + 1 - functional.cosine_similarity(like, taught).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step = epoch * per_epoch + number + 1
            if curves is not None:
                curves("loss", float(loss.detach()), step)
                curves("rate", float(schedule.get_last_lr()[0]), step)
            schedule.step()
            total += float(loss.detach()) / per_epoch
            progress(step, setting.epochs * per_epoch)
        losses.append(total)
        checkpoint.save(losses, generator, pupil, optimizer, schedule)
    return losses


def _accuracy(
    pupil: _Pupil, setting: Beginning, rows: IntArray, labels: IntArray, paths: list[Path]
) -> float:
    """Share of the rows with a class that are told right."""
    pupil.eval()
    device, right = next(pupil.parameters()).device, []
    known = rows[labels[rows] >= 0]
    with torch.no_grad():
        for first in range(0, len(known), setting.batch):
            chosen = known[first : first + setting.batch]
            logits = pupil.classifier(pupil(_pixels(paths, chosen, setting.size).to(device)))
            right.append(logits.argmax(1).cpu().numpy() == labels[chosen])
    return float(np.concatenate(right).mean()) if right else 0.0


def _pixels(
    paths: list[Path], rows: IntArray, size: int, generator: np.random.Generator | None = None
) -> Tensor:
    """(N, 3, S, S) normalised; other views of the photos where a generator is given."""
    squares = []
    for row in rows:
        photo = open_photo(paths[row])
        seen = view(photo, generator=generator) if generator is not None else photo
        squares.append(white_square(seen, size=size))
    pixels = torch.from_numpy(np.stack(squares)).float() / 255
    return ((pixels - torch.tensor(INPUT.mean)) / torch.tensor(INPUT.std)).permute(0, 3, 1, 2)


def _vectors(teacher: Any, paths: list[Path]) -> FloatMatrix:
    """(N, T) at unit length, centred: what tells the photos apart counts."""
    parts = [
        teacher.encode([open_photo(path) for path in paths[first : first + 32]])
        for first in range(0, len(paths), 32)
    ]
    vectors = np.concatenate(parts)
    return unit(vectors - vectors.mean(axis=0))

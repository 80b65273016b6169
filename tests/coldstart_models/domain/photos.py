"""Generated photos whose kind is a shape and whose colour says nothing, and a tiny encoder."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from coldstart_models.domain.examples import Examples
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.images import ImageInput, TorchImageEncoder

KINDS = ("lamp", "rug", "sofa", "shelf")
WIDTH = 16


def drawn(kind: int, *, generator: np.random.Generator) -> Image.Image:
    """A photo of 32 × 32: one of four shapes, somewhere, in any dark colour on any light ground."""
    ground, colour = (
        tuple(int(one) for one in generator.integers(low, low + 90, 3)) for low in (165, 0)
    )
    image = Image.new("RGB", (32, 32), ground)
    draw = ImageDraw.Draw(image)
    left, top = (int(one) for one in generator.integers(2, 10, 2))
    box = (left, top, left + 20, top + 20)
    if kind == 0:
        draw.ellipse(box, fill=colour)
    elif kind == 1:
        for line in range(top, top + 20, 5):
            draw.rectangle((left, line, left + 20, line + 1), fill=colour)
    elif kind == 2:
        for line in range(left, left + 20, 5):
            draw.rectangle((line, top, line + 1, top + 20), fill=colour)
    else:
        draw.rectangle(box, outline=colour, width=2)
    return image


def listings(folder: Path, count: int, *, seed: int = 0) -> Examples:
    """So many listings of the kinds in turn; a title says the kind and a number."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        paths.append(folder / f"{number:03d}.png")
        drawn(number % 4, generator=generator).save(paths[-1])
    titles = tuple(f"{KINDS[number % 4]} {number}" for number in range(count))
    return Examples(
        ids=np.array([f"i{number:03d}" for number in range(count)], object),
        photos=tuple(paths),
        texts=titles,
        titles=titles,
        categories=tuple(f"Home > {KINDS[number % 4]}" for number in range(count)),
    )


def network(seed: int = 0) -> nn.Sequential:
    """(N, 3, 32, 32) → (N, 16), as a backbone looks: blocks, pooling, no classifier."""
    torch.manual_seed(seed)
    stages = [
        nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
        for a, b in ((3, 8), (8, 12), (12, WIDTH))
    ]
    return nn.Sequential(
        *stages[:1], nn.Sequential(*stages[1:]), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def photo_encoder(seed: int = 0, module: nn.Module | None = None) -> TorchImageEncoder:
    return TorchImageEncoder(
        module or network(seed),
        name="tiny",
        width=WIDTH,
        licence="Apache-2.0",
        weights_hash=f"tiny {seed}",
        preprocessing=ImageInput(size=32, mean=(0.5,) * 3, std=(0.25,) * 3),
        device="cpu",
    )


class KindWords:
    """A real tiny text encoder: which kind a title names, and a little of its letters."""

    modality = Modality.TEXT
    id, hash, space, licence, width = "words", "words 1", "words 1", "MIT", 8

    def prepare(self, content):
        return content

    def forward(self, prepared):
        rows = [
            [*(float(kind in text) for kind in KINDS), *(3.0 * text.count(one) for one in "1357")]
            for text in prepared
        ]
        return np.array(rows, np.float32).reshape(-1, self.width)

    def encode(self, batch):
        return self.forward(batch)


def load(name: str):
    """name → encoder, as `load_encoder` does it."""
    return KindWords() if name == "words" else photo_encoder()

"""How much of an encoder learns: its last blocks, low-rank changes, or its head alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import nn

from coldstart_models.domain.blocks import split
from coldstart_models.domain.feature_maps import (
    MapPlan,
    feature_maps,
    text_vectors,
    view_of,
)
from coldstart_models.domain.lora import add_low_rank, merge
from coldstart_models.domain.towers import StoredInputs, Tower, WholeInputs
from coldstart_models.errors import ConfigError
from coldstart_models.progress import Progress
from feature_repo.encoders.encoder import Modality

BLOCKS: Final = 3
RANK: Final = 8


@dataclass(frozen=True, slots=True)
class Freedom:
    """Of one encoder: either some blocks or a rank, or neither."""

    blocks: int = 0
    """The last so many learn; those before are computed once."""
    rank: int = 0
    """Of changes to linear layers, where the encoder is computed as a whole."""

    def __post_init__(self) -> None:
        if self.blocks < 0 or self.rank < 0 or (self.blocks and self.rank):
            raise ConfigError(
                f"{self.blocks} blocks and rank {self.rank} were asked for: give one of the two, "
                "or neither to learn a head alone"
            )


def usual_freedom(encoder: Any) -> Freedom:
    """The last blocks of photos, low-rank changes of texts; a head alone on what is not torch's."""
    if encoder.modality is Modality.IMAGE:
        return Freedom(blocks=BLOCKS)
    return Freedom(rank=RANK if isinstance(getattr(encoder, "module", None), nn.Module) else 0)


def photo_tower(
    encoder: Any,
    photos: Sequence[Path],
    others: Sequence[Path] = (),
    *,
    freedom: Freedom,
    views: int,
    seed: int,
    cache: Path,
    tag: str = "",
    progress: Progress | None = None,
) -> Tower:
    """A tower on photos, and on the source's after them.

    Args:
        views: of each photo, itself the first; the source's have one.
        tag: tells the encoder from its base where its norms were estimated anew.

    Raises:
        ConfigError: the encoder cannot learn so.
    """
    module, device = _module(encoder), encoder.runner.device
    module.requires_grad_(False)
    if freedom.rank:
        add_low_rank(module, rank=freedom.rank, generator=torch.Generator().manual_seed(seed))
        places = [(path, row) for part in (photos, others) for row, path in enumerate(part)]
        return Tower(
            WholeInputs(
                encoder,
                [views] * len(photos) + [1] * len(others),
                lambda row, number: encoder.prepare(view_of(*places[row], number)),
            ),
            module,
            compute=encoder.runner.computation,
            device=device,
        )
    plans = [
        MapPlan(paths, encoder.hash + tag, free=freedom.blocks, views=count)
        for paths, count in ((photos, views), (others, 1))
        if len(paths)
    ]
    stem, free = _cut(encoder, module, freedom.blocks)
    maps = tuple(
        feature_maps(plan, encoder=encoder, stem=stem, folder=cache, progress=progress)
        for plan in plans
    )
    free.requires_grad_(True)
    return Tower(StoredInputs(maps, device), free, device=device)


def _cut(encoder: Any, module: nn.Module, blocks: int) -> tuple[Any, nn.Module]:
    """What computes the maps of a staged batch, and what learns."""
    if not blocks:
        return encoder.runner.computation, nn.Identity()
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    staged = encoder.stage([encoder.prepare(Image.fromarray(one)) for one in noise])
    chain = split(module, encoder.pixels(staged.ready()).contiguous())
    if chain is None:
        raise ConfigError(
            f"the backbone of {encoder.id!r} is not a chain of blocks; learn low-rank changes "
            "instead (--lora)"
        )
    stem, tail = chain.cut(blocks)
    return lambda inputs: stem(encoder.pixels(inputs)), tail


def text_tower(
    encoder: Any,
    texts: Sequence[str],
    *,
    freedom: Freedom,
    seed: int,
    cache: Path,
    beside: Tower | None = None,
    progress: Progress | None = None,
) -> Tower:
    """A tower on texts (N,), `beside` one on their photos.

    Raises ConfigError for an encoder of photos, and for blocks: texts learn low-rank changes.
    """
    if encoder.modality is not Modality.TEXT:
        raise ConfigError(f"{encoder.id!r} reads photos; titles need an encoder of texts")
    if freedom.blocks:
        raise ConfigError(f"{encoder.id!r} reads texts: it learns low-rank changes, not blocks")
    device = _runs_on(encoder) or (beside.device if beside else torch.device("cpu"))
    if not freedom.rank:
        vectors = text_vectors(texts, encoder=encoder, folder=cache, progress=progress)
        return Tower(StoredInputs((vectors[:, None],), device), nn.Identity(), device=device)
    module = _module(encoder)
    generator = torch.Generator().manual_seed(seed)
    add_low_rank(module, rank=freedom.rank, generator=generator)
    return Tower(
        WholeInputs(encoder, [1] * len(texts), lambda row, _: encoder.prepare(texts[row])),
        module,
        compute=encoder.runner.computation,
        device=device,
    )


def learned_backbone(encoder: Any, tower: Tower) -> "dict[str, torch.Tensor] | None":
    """The base's weights as they are now, low-rank changes merged; None where they are the base's.

    The tower is of no use afterwards.
    """
    if not tower.learns:
        return None
    module = _module(encoder)
    merge(module)
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _runs_on(encoder: Any) -> torch.device | None:
    """The device of what computes it, or of what it adapts does; None where that is not torch."""
    runner = getattr(encoder, "runner", None)
    if runner is None and hasattr(encoder, "base"):
        return _runs_on(encoder.base)
    found: torch.device | None = runner.device if runner is not None else None
    return found


def _module(encoder: Any) -> nn.Module:
    module = getattr(encoder, "module", None)
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{encoder.id!r} has no torch weights of its own that could learn; name its base"
        )
    return module

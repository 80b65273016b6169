"""All that takes part in an adaptation, put together from examples and a setting."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.domain.aims import LABELS, NEIGHBOURS, SOURCE, Aims
from coldstart_models.domain.alignment import estimate_norms
from coldstart_models.domain.examples import Cut, Examples, digest
from coldstart_models.domain.freedom import photo_tower, text_tower
from coldstart_models.domain.judging import Held, Judge, Score, held_out, standing
from coldstart_models.domain.learning import NO_ROWS, Schedule
from coldstart_models.domain.objectives import Objectives, Teaching, mutual_neighbours
from coldstart_models.domain.setting import Setting, parts_of, usable, with_source
from coldstart_models.domain.towers import (
    Tower,
    centred_head,
    foretelling_heads,
    plain_head,
    principal_head,
    ridge_head,
)
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.progress import StepProgress
from coldstart_models.retrieval import unit
from feature_repo.encoders.content import open_photo
from feature_repo.encoders.encoder import Encoder, Modality

NORM_BATCH: Final = 64
"""Photos whose statistics are taken together."""


@dataclass(slots=True)
class Study:
    """The examples and their parts, the encoders and their towers, the losses and the judge."""

    examples: Examples
    """The target's, then the source's."""
    targets: int
    """How many are the target's."""
    cut: Cut
    source_learn: IntArray
    photo_encoder: Any
    text_encoder: Any
    photo: Tower | None
    text: Tower | None
    objectives: Objectives
    judge: Judge
    wide: list[nn.Linear] | None
    """Heads to the base's full width, where the towers' are to less; of bases of one space those by
    which photos and titles are compared as they come."""
    fingerprint: str
    """Of the encoders, the examples' contents, their parts and the setting but for its schedule."""

    def foretell_titles(self, start: Score, setting: Setting) -> None:
        """Give the towers the heads that are learned in closed form from photos and titles.

        Of those to choose from, the ones that gain most over `start` on the validation items,
        before all among those that do not forget too much.
        """
        assert self.photo is not None
        assert self.text is not None
        rows, best = self.cut.learn, (False, -np.inf)
        chosen = self.photo.head, self.text.head
        for photo, title in foretelling_heads(
            self.photo.all_features(rows), self.text.all_features(rows), width=setting.width
        ):
            self.photo.head = photo.to(self.photo.device)
            self.text.head = title.to(self.text.device)
            score = self.judge()
            found = standing(
                score.gain(start),
                score.forgotten(start),
                most_forgotten=setting.most_forgotten,
            )
            if found > best:
                best, chosen = found, (self.photo.head, self.text.head)
        self.photo.head, self.text.head = chosen

    def whole(self) -> tuple[Score, Held] | None:
        """What is found of the base as it serves; None where the towers begin so."""
        if self.wide is None:
            return None
        with self.at_full_width():
            return self.judge(), self.held()

    @contextmanager
    def at_full_width(self) -> Iterator[None]:
        """The towers with all numbers of the base's vectors, for as long as the block lasts."""
        towers = [tower for tower in (self.photo, self.text) if tower is not None]
        heads = [tower.head for tower in towers]
        for tower, head in zip(towers, self.wide or heads, strict=True):
            tower.head = head
        try:
            yield
        finally:
            for tower, head in zip(towers, heads, strict=True):
                tower.head = head

    def held(self) -> Held:
        """What is measured of the held-out items as the towers are."""
        return held_out(self.examples, self.cut.hold, self.photo, self.text)


def study(
    target: Examples,
    setting: Setting,
    source: Examples | None,
    *,
    load: Callable[[str], Encoder],
    cache: Path,
    hold: Collection[str] | None = None,
    norms: bool = False,
    progress: StepProgress | None = None,
) -> Study:
    """Load the encoders, cut the examples, compute what stays, and begin at the base.

    Args:
        hold: ids of the target's items to hold out, instead of a share of them.
        norms: whether the photo encoder's batch norms are estimated anew first (AdaBN).
    """
    encoder: Any = load(setting.base)
    of_photos = encoder.modality is Modality.IMAGE
    _require_fit(setting.aims, of_photos=of_photos, source=source)
    chosen = usable(target, setting.aims, of_photos=of_photos)
    parts = parts_of(chosen, setting, hold, of_photos=of_photos)
    examples, of_source = with_source(chosen, source if of_photos else None, setting)
    tag = ""
    if norms:
        learned_from = [photo for row in parts.learn if (photo := chosen.photos[row]) is not None]
        _estimate(encoder, learned_from, progress)
        tag = digest(*chosen.ids[parts.learn])
    told = progress("encode") if progress else None
    photo = text = text_encoder = None
    if of_photos:
        photo = photo_tower(
            encoder,
            [path for path in chosen.photos if path is not None],
            [path for path in examples.photos[len(chosen) :] if path is not None],
            freedom=setting.freedom,
            views=setting.views if setting.aims.learns or setting.aims.needs_views else 1,
            seed=setting.seed,
            cache=cache,
            tag=tag,
            progress=told,
        )
    if not of_photos or setting.aims.needs_text:
        text_encoder = load(str(setting.text)) if of_photos else encoder
        text = text_tower(
            text_encoder,
            [one or "" for one in chosen.texts],
            freedom=setting.text_freedom if of_photos else setting.freedom,
            seed=setting.seed,
            cache=cache,
            beside=photo,
            progress=told,
        )
    joint = of_photos and encoder.space == getattr(text_encoder, "space", None)
    start, wide = _start(photo, text, parts, count=len(chosen), width=setting.width, joint=joint)
    teaching = _teaching(setting.aims, examples, parts, of_source, start)
    objectives = Objectives(
        setting.aims,
        teaching,
        photo=photo,
        text=text,
        generator=torch.Generator().manual_seed(setting.seed),
    )
    return Study(
        examples=examples,
        targets=len(chosen),
        cut=parts,
        source_learn=of_source.learn if setting.aims.needs_source else NO_ROWS,
        photo_encoder=encoder if of_photos else None,
        text_encoder=text_encoder,
        photo=photo,
        text=text,
        objectives=objectives.to(objectives.first.device),
        judge=Judge(setting.aims, examples, parts.validate, of_source.validate, photo, text),
        wide=wide,
        fingerprint=digest(
            examples.digest(),
            repr(replace(setting, schedule=Schedule())),
            encoder.hash,
            getattr(text_encoder, "hash", ""),
            *(rows.tobytes() for one in (parts, of_source) for rows in astuple(one)),
        ),
    )


def _require_fit(aims: Aims, *, of_photos: bool, source: Examples | None) -> None:
    if not of_photos and set(aims.objectives) != {LABELS}:
        raise ConfigError(
            "an encoder of texts alone learns from labels; for pairs name an encoder of photos "
            "as the base and it as --text-encoder"
        )
    if not of_photos and aims.align is not None:
        raise ConfigError("domains are aligned on photos; the base reads texts")
    if aims.needs_source and source is None:
        raise ConfigError(
            f"{aims.align or SOURCE} needs photos of another domain: give their folder (--source)"
        )


def _estimate(encoder: Any, photos: list[Path], progress: StepProgress | None) -> None:
    """AdaBN on the target's photos."""
    module = getattr(encoder, "module", None)
    if not isinstance(module, torch.nn.Module):
        raise ConfigError(f"{encoder.id!r} has no torch weights of its own; name its base")
    told = progress("estimate norms") if progress else None
    order = np.random.default_rng(0).permutation(len(photos))
    whole = len(order) // NORM_BATCH * NORM_BATCH or len(order)

    def batches() -> Iterator[Any]:
        for first in range(0, whole, NORM_BATCH):
            rows = order[first : first + NORM_BATCH]
            yield encoder.stage([encoder.prepare(open_photo(photos[row])) for row in rows]).ready()
            if told:
                told(min(first + NORM_BATCH, whole), whole)

    estimate_norms(module, encoder.runner.computation, batches())


def _start(
    photo: Tower | None, text: Tower | None, parts: Cut, *, count: int, width: int, joint: bool
) -> tuple[FloatMatrix, list[nn.Linear] | None]:
    """Give the towers the heads to start from.

    Returns the first one's vectors (T, D) of the target, and the heads of the base as it serves: of
    bases of one space (`joint`) those that change nothing, of others those of all numbers where the
    vectors have fewer.
    """
    first = photo or text
    assert first is not None
    towers = [tower for tower in (photo, text) if tower is not None]
    features = first.all_features(np.arange(count))
    titles = text.all_features(parts.learn) if text is not None and len(towers) == 2 else None

    def heads(head: nn.Linear) -> tuple[FloatMatrix, list[nn.Linear]]:
        vectors: FloatMatrix = head(torch.from_numpy(features)).detach().numpy()
        found = [head]
        if titles is not None:
            found.append(ridge_head(titles, unit(vectors[parts.learn])))
        return vectors, [one.to(tower.device) for one, tower in zip(found, towers, strict=True)]

    start, begun = heads(principal_head(features[parts.learn], width=width))
    for tower, head in zip(towers, begun, strict=True):
        tower.head = head
    if joint:
        return start, [plain_head(features.shape[1]).to(tower.device) for tower in towers]
    if features.shape[1] <= width:
        return start, None
    return start, heads(centred_head(features[parts.learn]))[1]


def _teaching(
    aims: Aims, examples: Examples, parts: Cut, of_source: Cut, start: FloatMatrix
) -> Teaching:
    asked, nothing = aims.objectives, np.full(len(examples), -1, np.int64)
    labels = examples.labels(parts.learn) if LABELS in asked else nothing
    classes = examples.labels(of_source.learn) if SOURCE in asked else nothing
    for name, values, rows in (
        (LABELS, labels, parts.learn),
        (SOURCE, classes, of_source.learn),
    ):
        if name in asked and not (values[rows] >= 0).any():
            raise NotEnoughData(
                f"objective {name!r} needs categories, and none has five examples to learn from"
            )
    titles = [title or f" {row}" for row, title in enumerate(examples.titles)]
    number = {title: place for place, title in enumerate(dict.fromkeys(titles))}
    neighbours = mutual_neighbours(start[parts.learn], parts.learn) if NEIGHBOURS in asked else {}
    return Teaching(labels, classes, np.array([number[one] for one in titles]), start, neighbours)

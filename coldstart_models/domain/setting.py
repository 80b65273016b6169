"""What is adapted to what end, and which examples take part in it, in which part."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from math import isnan

import numpy as np

from coldstart_models import usual
from coldstart_models.domain.aims import PAIRS, TITLES, Aims
from coldstart_models.domain.examples import ENOUGH, Cut, Examples, cut
from coldstart_models.domain.freedom import Freedom
from coldstart_models.domain.learning import NO_ROWS, Schedule
from coldstart_models.errors import ConfigError, NotEnoughData

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is adapted to what end."""

    base: str
    """Encoder of photos or of texts, as `load_encoder` takes it."""
    text: str | None = None
    """Encoder of the titles, where pairs are learned from."""
    aims: Aims = field(default_factory=Aims)
    schedule: Schedule = field(default_factory=Schedule)
    freedom: Freedom = field(default_factory=Freedom)
    text_freedom: Freedom = field(default_factory=Freedom)
    width: int = usual.WIDTH
    """D at most."""
    views: int = usual.VIEWS
    """Of each photo, itself among them: learning sees one of them at random."""
    validate: float = usual.VALIDATE
    hold: float = usual.HOLD
    most_forgotten: float = usual.MOST_FORGOTTEN
    seed: int = 0

    def __post_init__(self) -> None:
        if self.aims.needs_text and self.text is None:
            raise ConfigError("titles need an encoder of their own as well (--text-encoder)")
        if TITLES in self.aims.objectives and {self.freedom, self.text_freedom} != {Freedom()}:
            raise ConfigError(
                f"objective {TITLES!r} learns heads alone, in one step: leave out --blocks, --lora "
                f"and --text-lora, or name what they are to learn, such as --objective {PAIRS}"
            )
        if self.aims.needs_views and self.views < 2:
            raise ConfigError(f"{self.views} view of a photo was asked for; views need 2 or more")
        if not (self.validate >= 0 and self.hold >= 0 and self.validate + self.hold < 1):
            raise ConfigError(
                f"of all items {self.validate:g} judge (--validate) and {self.hold:g} are held out "
                "(--holdout): give two shares that leave some to learn from"
            )
        if isnan(self.most_forgotten):
            raise ConfigError("max-forgetting is nan, expected a share")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, expected 0 or more")


def usable(target: Examples, aims: Aims, *, of_photos: bool) -> Examples:
    """Those of the target that have what is learned from."""
    known = target.with_photo if of_photos else target.with_text
    if aims.needs_text:
        known = known & target.with_text
        if known.sum() < ENOUGH:
            raise NotEnoughData(
                f"{known.sum()} of {len(target)} examples have a photo and a title, and {ENOUGH} "
                "are needed; photos alone are learned from by --objective views,neighbours"
            )
    return target.take(np.flatnonzero(known))


def parts_of(
    chosen: Examples, setting: Setting, hold: Collection[str] | None, *, of_photos: bool
) -> Cut:
    """The target's rows in their parts; those to hold out by their ids where they are given.

    What has the id or the photo of another row is in its part, or where it is held out in none; so
    is what has its text, where texts are read.
    """
    groups = chosen.groups(by_text=setting.aims.needs_text or not of_photos)
    rows = np.arange(len(chosen))
    parts = partial(cut, validate=setting.validate, seed=setting.seed, groups=groups)
    if hold is None:
        return parts(rows, hold=setting.hold)
    held = np.isin(chosen.ids.astype(str), list(hold))
    others = parts(rows[~np.isin(groups, groups[held])], hold=0.0)
    return replace(others, hold=rows[held])


def with_source(
    chosen: Examples, source: Examples | None, setting: Setting
) -> tuple[Examples, Cut]:
    """The target's examples, then the source's, and the rows of the latter.

    Copies of a photo of the source are in one part.
    """
    if source is None:
        return chosen, Cut(NO_ROWS, NO_ROWS, NO_ROWS)
    there = source.take(np.flatnonzero(source.with_photo))
    rows, groups = np.arange(len(there)), there.groups()
    try:
        parts = cut(rows, validate=setting.validate, hold=0.0, seed=setting.seed, groups=groups)
    except NotEnoughData as reason:
        if setting.aims.needs_source:
            raise NotEnoughData(f"of the source: {reason}") from reason
        log.warning("of the source: %s; what is forgotten of it is not told", reason)
        return chosen, Cut(NO_ROWS, NO_ROWS, NO_ROWS)
    return chosen.then(there), parts.after(len(chosen))

"""What an encoder is to learn, as it is asked for and checked."""

from dataclasses import dataclass
from typing import Final

from coldstart_models import usual
from coldstart_models.domain.alignment import ALIGNMENTS, CORAL, DANN
from coldstart_models.domain.contrast import CLIP, CONTRASTS
from coldstart_models.errors import ConfigError

TITLES: Final = "titles"
PAIRS: Final = "pairs"
LABELS: Final = "labels"
VIEWS: Final = "views"
NEIGHBOURS: Final = "neighbours"
SOURCE: Final = "source"
OBJECTIVES: Final = {
    TITLES: "a photo foretells its title's vector; in closed form, by itself",
    PAIRS: "a listing's photo and its title find each other",
    LABELS: "listings of one category are near each other",
    VIEWS: "two views of one photo are near each other",
    NEIGHBOURS: "photos that were mutual neighbours are nearer each other",
    SOURCE: "photos of one of the source's classes are near each other",
}
"""Name → what is learned. VIEWS and NEIGHBOURS need photos alone."""
CONTRAST: Final = "contrast"
CROSS_ENTROPY: Final = "cross-entropy"
SUPERVISIONS: Final = (CONTRAST, CROSS_ENTROPY)


@dataclass(frozen=True, slots=True)
class Aims:
    """Which losses are added up, and with what weights."""

    objectives: tuple[str, ...] = (TITLES,)
    align: str | None = None
    """How the source's features are made alike to the target's."""
    contrast: str = CLIP
    """Of the pairs."""
    supervision: str = CONTRAST
    """Of labels, the target's or the source's."""
    keep: float = usual.KEEP
    """Weight of staying near the base's vectors."""
    align_weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.objectives and self.align is None:
            raise ConfigError(f"there is nothing to learn; name one of {', '.join(OBJECTIVES)}")
        if TITLES in self.objectives and (len(self.objectives) > 1 or self.align):
            raise ConfigError(f"objective {TITLES!r} is learned in one step, by itself")
        _known("objective", self.objectives, tuple(OBJECTIVES))
        _known("alignment", (self.align,) if self.align else (), ALIGNMENTS)
        _known("contrast", (self.contrast,), tuple(CONTRASTS))
        _known("supervision", (self.supervision,), SUPERVISIONS)
        for name in ("keep", "align_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 or more")

    @property
    def learns(self) -> bool:
        """Whether there is a loss to descend: titles in closed form and AdaBN alone have none."""
        return bool(set(self.objectives) - {TITLES}) or self.align in (CORAL, DANN)

    @property
    def needs_source(self) -> bool:
        """Whether photos of another domain take part."""
        return SOURCE in self.objectives or self.align in (CORAL, DANN)

    @property
    def needs_text(self) -> bool:
        """Whether titles take part."""
        return bool({PAIRS, TITLES} & set(self.objectives))

    @property
    def needs_views(self) -> bool:
        """Whether photos are seen in several views, to learn or to judge.

        Views judge what else says nothing of the target: the source's classes, and alignment alone.
        """
        return bool({VIEWS, NEIGHBOURS, SOURCE} & set(self.objectives)) or not self.objectives


def _known(what: str, given: tuple[str, ...], names: tuple[str, ...]) -> None:
    for one in given:
        if one not in names:
            raise ConfigError(f"there is no {what} {one!r}; known are {', '.join(names)}")

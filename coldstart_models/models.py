"""The models a benchmark knows by name, and how each is built."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from coldstart_models.errors import ConfigError
from coldstart_models.ranker import Ranker

if TYPE_CHECKING:
    from coldstart_models.siamese.ranker import Pretrained

RANDOM: Final = "random"
POPULARITY: Final = "popularity"
CONTENT_KNN: Final = "content-knn"
ORACLE: Final = "oracle"


@dataclass(frozen=True, slots=True)
class Model:
    """What a benchmark must know of a model before it is built."""

    name: str
    meaning: str
    seeded: bool
    """Whether another seed gives another ranking on the same split."""
    adapts: bool
    """Whether it uses a task's support; if not, its scores at k shots are those at 0."""


MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (
        Model(RANDOM, "chance", seeded=True, adapts=False),
        Model(POPULARITY, "popularity of the nearest warm items", seeded=False, adapts=False),
        Model("content-knn-tfidf", "best single kNN on TF-IDF", seeded=False, adapts=False),
        Model("content-knn-text", "best single kNN on text", seeded=False, adapts=False),
        Model("content-knn-image", "best single kNN on photos", seeded=False, adapts=False),
        Model(CONTENT_KNN, "best ensemble of content kNN", seeded=False, adapts=False),
        Model("siamese", "Siamese scorer", seeded=True, adapts=False),
        Model("siamese+meta", "adapts to k shots", seeded=True, adapts=True),
        Model("siamese+date", "may see the launch date", seeded=True, adapts=False),
        Model("siamese+meta+date", "both", seeded=True, adapts=True),
        Model(ORACLE, "the utilities choices were drawn from", seeded=False, adapts=False),
    )
}


def find_model(name: str) -> Model:
    """The model of that name. Raises ConfigError with the nearest known name."""
    if name in MODELS:
        return MODELS[name]
    close = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"no model is called {name!r}{hint} Known: {', '.join(MODELS)}")


def build_ranker(
    name: str,
    *,
    by_time: bool = True,
    truth: pd.DataFrame | None = None,
    pretrained: "dict[bool, Pretrained] | None" = None,
) -> Ranker:
    """A fresh, unfitted ranker.

    Args:
        name: one of MODELS.
        by_time: whether models choose on a launch cut in time (as a cutoff split does)
            or on held-out items (as a random split does).
        truth: `user_id`, `item_id`, `utility`; the oracle needs it.
        pretrained: what Siamese models of one training set and seed share.

    Raises:
        ConfigError: no such model, or the oracle without the truth.
    """
    family = find_model(name).name.partition("+")[0]
    if family == "siamese":
        return _siamese(name, by_time, pretrained)
    if family == ORACLE:
        return _oracle(truth)
    return _PEERS[family](name, by_time)


def _siamese(name: str, by_time: bool, pretrained: "dict[bool, Pretrained] | None") -> Ranker:
    from coldstart_models.siamese.ranker import SiameseRanker

    options = name.split("+")[1:]
    ranker: Ranker = SiameseRanker(
        meta="meta" in options, dates="date" in options, by_time=by_time, pretrained=pretrained
    )
    return ranker


def _oracle(truth: pd.DataFrame | None) -> Ranker:
    from coldstart_models.peers.chance import OracleRanker

    if truth is None:
        raise ConfigError(
            f"{ORACLE!r} needs a source whose choice model is known, such as `marketplace`"
        )
    return OracleRanker(truth)


def _random(name: str, by_time: bool) -> Ranker:
    from coldstart_models.peers.chance import RandomRanker

    return RandomRanker()


def _popularity(name: str, by_time: bool) -> Ranker:
    from coldstart_models.peers.popularity import PopularityRanker

    return PopularityRanker()


def _neighbours(name: str, by_time: bool) -> Ranker:
    from coldstart_models.peers.content import TFIDF_SPACES, Space
    from coldstart_models.peers.neighbours import MAX_MEMBERS, ContentNeighbours

    spaces: dict[str, tuple[Space, ...]] = {
        "content-knn-tfidf": TFIDF_SPACES,
        "content-knn-text": (Space.TEXT,),
        "content-knn-image": (Space.IMAGE,),
        CONTENT_KNN: tuple(Space),
    }
    members = MAX_MEMBERS if name == CONTENT_KNN else 1
    return ContentNeighbours(name, spaces=spaces[name], max_members=members, by_time=by_time)


_PEERS: Final[dict[str, Callable[[str, bool], Ranker]]] = {
    RANDOM: _random,
    POPULARITY: _popularity,
    "content-knn-tfidf": _neighbours,
    "content-knn-text": _neighbours,
    "content-knn-image": _neighbours,
    CONTENT_KNN: _neighbours,
}

"""The published peers by name, and how each is built, tuned."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.peers import (
    aldi,
    als_map,
    boosted,
    clcrec,
    dropoutnet,
    lightfm_hybrid,
    melu,
    meta_embedding,
)
from benchmarks.peers.constant import ConstantRanker
from benchmarks.peers.dated import DatedNeighbours
from benchmarks.peers.kept import Kept
from benchmarks.peers.tuning import TRIALS, TunedRanker
from coldstart_models.errors import ConfigError
from coldstart_models.ranker import Ranker


@dataclass(frozen=True, slots=True)
class Published:
    """A peer and what a benchmark must know of it."""

    name: str
    settings: Any
    """The class of its settings."""
    ranker: Callable[..., Ranker]
    adapts: bool = False
    """Whether it uses a task's support."""
    by_time: bool = False
    """Whether its learning asks which kind of cut it is on."""


PUBLISHED: Final[dict[str, Published]] = {
    peer.name: peer
    for peer in (
        Published("lightfm", lightfm_hybrid.Settings, lightfm_hybrid.LightFMHybrid),
        Published("als-map", als_map.Settings, als_map.AlsMap),
        Published("lightgbm", boosted.Settings, boosted.Boosted, by_time=True),
        Published("dropoutnet", dropoutnet.Settings, dropoutnet.DropoutNet),
        Published("clcrec", clcrec.Settings, clcrec.CLCRec),
        Published("melu", melu.Settings, melu.MeLU, adapts=True),
        Published(
            "meta-embedding", meta_embedding.Settings, meta_embedding.MetaEmbedding, adapts=True
        ),
        Published("aldi", aldi.Settings, aldi.Aldi),
    )
}


BASELINES: Final[dict[str, type[ConstantRanker | DatedNeighbours]]] = {
    baseline.name: baseline for baseline in (ConstantRanker, DatedNeighbours)
}
"""What is beside the peers to be read by, neither published nor tuned."""


def build_peer(
    name: str, *, by_time: bool, kept: Kept | None = None, trials: int = TRIALS
) -> TunedRanker:
    """A fresh peer that tunes itself when it is fitted. Raises ConfigError for another name."""
    if name not in PUBLISHED:
        raise ConfigError(f"no peer is called {name!r}; known: {', '.join(PUBLISHED)}")
    peer, shared = PUBLISHED[name], kept or Kept()
    options: dict[str, Any] = {"kept": shared} | ({"by_time": by_time} if peer.by_time else {})
    build = partial(peer.ranker, **options)
    return TunedRanker(
        name,
        peer.settings,
        build,
        trials=trials,
        by_time=by_time,
        adapts=peer.adapts,
        kept=shared,
    )

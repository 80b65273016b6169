"""What dates say, kept apart: how long a listing has been on offer, and the season it came in.

A pooled set of new listings rewards mere age: whoever was listed first had longest to be
chosen. Models that are trained with dates may use that; the others never see a date. How fast a
listing found its first customers is no date: it is the pace that learners of few shots read.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import Episode
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.siamese.season import Season, season_match

if TYPE_CHECKING:
    from coldstart_models.siamese.training import MetaSiamese, PreparedEpisode

Floats = npt.NDArray[np.float64]
SEASON_WEIGHTS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6)
"""Among which the weight of the season is chosen; ties go to the smaller."""


class DateTerm(nn.Module):
    """Two weights: for the rank of the listing date, and for the match with the season.

    What sells in a season is popularity, which the loss of training explains away: so the
    season's weight is chosen by what ranks past launches best, not by descent.
    """

    season_weight: Tensor
    seasonal_mean: Tensor
    seasonal_map: Tensor

    def __init__(self, content_width: int) -> None:
        super().__init__()
        self.age_weight = nn.Parameter(torch.tensor([0.6]))
        self.register_buffer("season_weight", torch.tensor(0.0))
        self.register_buffer("seasonal_mean", torch.zeros(content_width))
        self.register_buffer("seasonal_map", torch.zeros(content_width, 2))

    def forward(self, features: Tensor) -> Tensor:
        """(C,) from standardised features (C, 2)."""
        return features[:, 0] * self.age_weight[0] + features[:, 1] * self.season_weight

    @property
    def season(self) -> Season:
        """What content sells when, as it was learned last."""
        return Season(self.seasonal_mean.numpy(), self.seasonal_map.numpy())

    @torch.no_grad()
    def keep(self, season: Season) -> None:
        """Serve by this season from now on."""
        self.seasonal_mean.copy_(torch.from_numpy(season.mean))
        self.seasonal_map.copy_(torch.from_numpy(season.map))


def date_features(episode: Episode, profiles: FloatMatrix, first_us: IntArray) -> Tensor:
    """(C, 2): rank of being early in the pool, and how well the content suits the season.

    The season is that of the later of two moments: when the episode's people are asked, and when
    the candidate is first offered. An episode that has no moment says nothing of seasons.

    Args:
        profiles: (num_items, 2) of `season.Season`.
        first_us: (num_items,) when each item was first offered.
    """
    candidates = episode.task.candidates
    offered = first_us[candidates]
    season = np.zeros(len(candidates))
    if episode.asked_us is not None:
        known = np.where(offered == END_OF_TIME, episode.asked_us, offered)
        season = season_match(profiles[candidates], np.maximum(known, episode.asked_us))
    columns = [early_ranks(offered, offered), standardised(season, season)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def early_ranks(offered_us: IntArray, pool_us: IntArray) -> Floats:
    """(N,): how many of a pool were offered later, ties by half, standardised over the pool.

    Args:
        offered_us: (N,) END_OF_TIME where nobody knows: 0.
        pool_us: (P,) of the pool, likewise.
    """
    ordered = np.sort(pool_us[pool_us != END_OF_TIME])

    def later(moments: IntArray) -> Floats:
        sides = [np.searchsorted(ordered, moments, side=side) for side in ("left", "right")]
        return np.asarray(len(ordered) - (sides[0] + sides[1]) / 2)

    ranks = standardised(later(offered_us), later(ordered))
    return np.where(offered_us == END_OF_TIME, 0.0, ranks)


def standardised(values: Floats, pool: Floats) -> Floats:
    """(N,) less the pool's mean, over its deviation; 0 where the pool is all alike."""
    deviation = pool.std() if len(pool) else 0.0
    if deviation <= 1e-9:
        return np.zeros(len(values))
    return np.asarray((values - pool.mean()) / deviation)


def choose_season_weight(
    network: "MetaSiamese",
    learning: Sequence["PreparedEpisode"],
    validation: Sequence["PreparedEpisode"],
) -> None:
    """Set the season's weight to what ranks past launches best, in place.

    Of the weights with which later launches are ranked better than without, it is the one of the
    best mean NDCG@10 over all; 0 where there is none, or the log is too short to tell a season.
    """
    from coldstart_models.siamese.training import ndcg_of, score_task

    term = network.date_term
    if term is None:
        return
    term.season_weight.zero_()
    told = [[one for one in each if bool(one.dates[:, 1].any())] for each in (learning, validation)]
    if not all(told):
        return
    quality = []
    for episodes in told:
        found = np.zeros(len(SEASON_WEIGHTS))
        for one in episodes:
            scores, season = score_task(network, one), one.dates[:, 1].cpu().numpy()
            moved = (np.asarray(scores + weight * season, np.float32) for weight in SEASON_WEIGHTS)
            found += [ndcg_of(each, one.episode.chosen) for each in moved]
        quality.append(found)
    of_later = quality[1]
    mean = (quality[0] + of_later) / sum(map(len, told))
    best = int(np.where(of_later > of_later[0], mean, mean[0]).argmax())
    term.season_weight.fill_(SEASON_WEIGHTS[best])

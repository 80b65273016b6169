"""What dates say, kept apart: how long a listing has been on offer, and the season it came in.

A pooled set of new listings rewards mere age: whoever was listed first had longest to be
chosen. Models that are trained with dates may use that; the others never see a date. How fast a
listing found its first customers is no date: it is the pace that learners of few shots read.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import Episode
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.siamese.scorer import DAY_US
from coldstart_models.siamese.season import Season, season_match

if TYPE_CHECKING:
    from coldstart_models.siamese.network import MetaSiamese
    from coldstart_models.siamese.preparing import PreparedEpisode

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
SEASON_SHARE: Final = 0.8
"""Of a person's spread of scores that a season would have which content told perfectly.

Found on two launch cuts of one home-and-gift shop's first year, where NDCG@10 rises up to .9 and
1.3 times the predictability and falls beyond.
"""
CHANCE: Final = 0.05
"""That past launches forbid a season which is one."""
LEAD_US: Final = 30 * DAY_US
"""People choose over the weeks that follow: the season is that of a month later."""
SEASON_KNOWN: Final = 5.0
"""First customers at which the season counts half: how fast they came says what it foretells."""


class DateTerm(nn.Module):
    """Two weights: for the rank of the listing date, and for the match with the season.

    What sells in a season is popularity, which the loss of training explains away: so the
    season's weight is not found by descent (`choose_season_weight`).
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

    def forward(self, features: Tensor, customers: Tensor | None = None) -> Tensor:
        """(C,) from standardised features (C, 2), and the first customers (C,) that are known."""
        season = features[:, 1] * self.season_weight
        if customers is not None:
            season = season * season_left(customers)
        return features[:, 0] * self.age_weight[0] + season

    @property
    def season(self) -> Season:
        """What content sells when, as it was learned last."""
        return Season(self.seasonal_mean.numpy(), self.seasonal_map.numpy())

    @torch.no_grad()
    def keep(self, season: Season) -> None:
        """Serve by this season from now on."""
        self.seasonal_mean.copy_(torch.from_numpy(season.mean))
        self.seasonal_map.copy_(torch.from_numpy(season.map))


def season_left(customers: Tensor) -> Tensor:
    """(C,): the share that the season keeps once so many first customers are known."""
    return SEASON_KNOWN / (SEASON_KNOWN + customers)


def date_features(episode: Episode, profiles: FloatMatrix, first_us: IntArray) -> Tensor:
    """(C, 2): rank of being early in the pool, and how well the content suits the season.

    The season is that of a month after the later of two moments: when the episode's people are
    asked, and when the candidate is first offered. An episode that has no moment says nothing of
    seasons.

    Args:
        profiles: (num_items, 2) of `season.Season`.
        first_us: (num_items,) when each item was first offered.
    """
    candidates = episode.task.candidates
    offered = first_us[candidates]
    season = np.zeros(len(candidates))
    if episode.asked_us is not None:
        known = np.where(offered == END_OF_TIME, episode.asked_us, offered)
        season = season_ahead(profiles[candidates], known, episode.asked_us)
    columns = [early_ranks(offered, offered), standardised(season, season)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def season_ahead(profiles: FloatMatrix, offered_us: IntArray, now_us: int) -> Floats:
    """(N,): how well content of profiles (N, 2) suits the weeks after it is offered, or after now
    where that was before."""
    return season_match(profiles, np.maximum(offered_us, now_us) + LEAD_US)


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


@contextmanager
def out_of_season(network: "MetaSiamese") -> Iterator[None]:
    """The season left aside meanwhile: weights that are learned beside it make up for it."""
    term = network.date_term
    if term is None:
        yield
        return
    weight = float(term.season_weight)
    term.season_weight.zero_()
    try:
        yield
    finally:
        term.season_weight.fill_(weight)


def choose_season_weight(
    network: "MetaSiamese",
    episodes: Sequence["PreparedEpisode"],
    *,
    predictability: float,
) -> None:
    """Set the season's weight by how well content tells seasons, in place.

    It is that share of the spread of a person's scores, times `SEASON_SHARE`. Where past launches
    are ranked worse with it beyond chance (mean NDCG@10 over launches, Student's t), or none of
    them has a season, it is 0: what looks like a season may be a fashion that passes, or one that
    has just begun.

    Args:
        episodes: launches of the past.
        predictability: of the log, as by `season.predictability`.
    """
    from coldstart_models.siamese.network import score_task

    term = network.date_term
    if term is None:
        return
    term.season_weight.zero_()
    told = [one for one in episodes if bool(one.dates[:, 1].any())]
    if not told or not predictability:
        return
    scores = [score_task(network, one) for one in told]
    spread = float(np.mean([each.std(axis=1).mean() for each in scores]))
    weight = SEASON_SHARE * predictability * spread
    gains = []
    for one, plain in zip(told, scores, strict=True):
        season = one.dates[:, 1].cpu().numpy()
        with_season = np.asarray(plain + weight * season, np.float32)
        chosen = one.episode.chosen
        gains.append(ndcg_of_each(with_season, chosen).mean() - ndcg_of_each(plain, chosen).mean())
    logger.info("a season of weight %.3f adds %.4f to NDCG@10", weight, np.mean(gains))
    if not _worse(gains):
        term.season_weight.fill_(weight)


def _worse(gains: Sequence[float]) -> bool:
    """Whether their mean is below 0 beyond chance: not to be told of one."""
    if len(gains) < 2:
        return False
    found = stats.ttest_1samp(gains, 0.0, alternative="less")
    return bool(found.pvalue < CHANCE)

"""What people do: visits, what they are shown, and what they choose of it.

A user visits one side of the shop (home, or everything else) at a random moment. Listing i,
if on offer, is shown independently with the recorded **propensity**

    p_ui = min(1, K · w_ui / Σ_j w_uj),   w_ui = exp(η·U_ui) · (1 + B·exp(-age_i / τ))

: the shop's search half knows the taste, and new listings stand in front. Of the shown ones
S the user clicks by a **multinomial logit without replacement** (Plackett–Luce) with an
outside option: with G independent standard Gumbel draws, at most M listings, best first,
of those with

    U_ui + G_i > U_u0 + G_0,   U_u0 = mean_j U_uj + c·std_j U_uj

so that the first click is i with probability exp(U_ui) / (exp(U_u0) + Σ_{j∈S} exp(U_uj)).
What the user clicked on an earlier visit counts κ less, here and in w: it has been seen.
A clicked listing goes to the cart, and from there is bought, with probabilities

    P(cart | click) = σ(α·(U_ui - U_u0) + a),   P(purchase | cart) = σ(α·(U_ui - U_u0) + b).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.catalogs.marketplace.stock import Bools, Floats, Ints, Listing
from feature_repo.catalogs.marketplace.tastes import Shoppers
from feature_repo.catalogs.marketplace.visits import SECOND_US, WEEK_US, Visits, make_visits, rounds
from validation import tables


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The constants of the choice model; see the module's formulas."""

    shown: float = 14.0
    """K"""
    search: float = 0.5
    """η"""
    novelty: float = 14.0
    """B"""
    novelty_weeks: float = 3.0
    """τ"""
    outside: float = 1.5
    """c"""
    most_clicks: int = 4
    """M"""
    satiation: float = 4.0
    """κ"""
    firmness: float = 0.5
    """α"""
    cart: float = -2.1
    """a"""
    purchase: float = -0.6
    """b"""
    growth: float = 0.8
    """Visits fall at weeks·v^growth for uniform v: below 1 the shop grows."""


BEHAVIOUR: Final = Behaviour()


def event_frame(
    shoppers: Shoppers,
    stock: Sequence[Listing],
    utility: Floats,
    *,
    start_us: int,
    weeks: int,
    sessions: float,
    seed: int,
    source: str,
    behaviour: Behaviour = BEHAVIOUR,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """The log as a canonical events frame in time order.

    Args:
        utility: (U, N) of `tastes.utilities`.
        start_us: the log's beginning in µs since 1970 UTC.
        sessions: mean visits a user.
        progress: called with visits done and in total.
    """
    rng = np.random.default_rng([seed, 31])
    drawn = make_visits(shoppers, weeks=weeks, mean=sessions, growth=behaviour.growth, rng=rng)
    side = np.array([one.is_home for one in stock])
    parts, done = [], 0
    for home in (True, False):
        columns = np.flatnonzero(side == home)
        shelf = _Shelf.of(
            [one for one in stock if one.is_home == home], utility[:, columns], behaviour
        )
        for rows in rounds(drawn, home=home, users=len(utility)):
            part = _choose(drawn.take(rows), shelf, behaviour, rng)
            parts.append(part.assign(visit=rows[part["visit"]], item=columns[part["item"]]))
            done += len(rows)
            if progress:
                progress(done, len(drawn.user))
    log = pd.concat(parts, ignore_index=True)
    return _canonical(log, drawn, shoppers, stock, start_us=start_us, source=source)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One side of the shop."""

    utility: Floats
    """(U, N)"""
    outside: Floats
    """(U,)"""
    listed: Floats
    retired: Floats
    price: Floats
    clicked: Bools
    """(U, N) so far; filled visit by visit."""

    @classmethod
    def of(cls, stock: Sequence[Listing], utility: Floats, behaviour: Behaviour) -> "_Shelf":
        return cls(
            utility,
            outside_option(utility, behaviour),
            np.array([one.listed_week for one in stock]),
            np.array([one.retired_week for one in stock]),
            np.array([one.price for one in stock]),
            np.zeros(utility.shape, bool),
        )


def outside_option(utility: Floats, behaviour: Behaviour = BEHAVIOUR) -> Floats:
    """(U,) what each user's utilities (U, N) are measured against: U_u0."""
    return np.asarray(utility.mean(axis=1) + behaviour.outside * utility.std(axis=1))


def propensities(
    utility: Floats, age: Floats, on_offer: Bools, behaviour: Behaviour = BEHAVIOUR
) -> Floats:
    """(V, N) probability with which each listing is shown on each visit; 0 if not on offer.

    Args:
        utility: (V, N)
        age: (V, N) weeks since listing.
        on_offer: (V, N)
    """
    centred = behaviour.search * (utility - utility.max(axis=1, keepdims=True))
    weight = np.where(on_offer, np.exp(centred) * freshness(age, behaviour), 0.0)
    total = np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(np.minimum(1.0, behaviour.shown * weight / total))


def freshness(age: Floats, behaviour: Behaviour = BEHAVIOUR) -> Floats:
    """How far in front listings of an age in weeks stand: 1 + B·exp(-age / τ), of its shape."""
    faded = np.exp(-np.maximum(age, 0.0) / behaviour.novelty_weeks)
    return np.asarray(1 + behaviour.novelty * faded)


def _choose(
    drawn: Visits, shelf: _Shelf, behaviour: Behaviour, rng: np.random.Generator
) -> pd.DataFrame:
    """Impressions, clicks, carts and purchases: visit, item, type, delay (µs), propensity."""
    utility = shelf.utility[drawn.user]  # (V, N)
    appeal = utility - behaviour.satiation * shelf.clicked[drawn.user]
    week = drawn.week[:, None]
    on_offer = (shelf.listed <= week) & (week < shelf.retired)
    shown_with = propensities(appeal, week - shelf.listed, on_offer, behaviour)
    shown = rng.random(utility.shape) < shown_with
    visit, item = np.nonzero(shown)
    above = (utility - shelf.outside[drawn.user][:, None])[visit, item]
    seen_before = shelf.clicked[drawn.user[visit], item]
    noisy = above - behaviour.satiation * seen_before + rng.gumbel(size=len(visit))
    clicked = _clicks(visit, noisy, rng.gumbel(size=len(drawn.user)), behaviour.most_clicks)
    shelf.clicked[drawn.user[visit[clicked]], item[clicked]] = True
    firm = behaviour.firmness * above
    carted = clicked & (rng.random(len(visit)) < _sigmoid(firm + behaviour.cart))
    bought = carted & (rng.random(len(visit)) < _sigmoid(firm + behaviour.purchase))
    place = _places(visit, rng.random(len(visit)))
    seen = (1 + place) * 3 * SECOND_US
    frame = pd.DataFrame(
        {"visit": visit, "item": item, tables.PROPENSITY: shown_with[visit, item], "delay": seen}
    )
    frame[tables.EVENT_TYPE] = tables.IMPRESSION
    parts = [frame]
    for kind, chosen, wait in (
        (tables.CLICK, clicked, 200),
        (tables.CART, carted, 500),
        (tables.PURCHASE, bought, 1_000),
    ):
        pause = (1 + rng.integers(wait // 2, wait, len(visit))) * SECOND_US
        part = frame[chosen].assign(delay=(seen + pause)[chosen])
        part[tables.EVENT_TYPE] = kind
        if kind == tables.PURCHASE:
            cheap = shelf.price[part["item"]] < 100
            part[tables.QUANTITY] = 1.0 + cheap * rng.poisson(0.25, len(part))
            part[tables.UNIT_PRICE] = shelf.price[part["item"]]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _clicks(visit: Ints, noisy: Floats, outside: Floats, most: int) -> Bools:
    """(S,) of each visit's shown listings, the best `most` that beat the outside option."""
    order = np.lexsort((-noisy, visit))
    starts = np.searchsorted(visit, np.arange(len(outside)))
    rank = np.empty(len(visit), np.int64)
    rank[order] = np.arange(len(visit)) - starts[visit[order]]
    return np.asarray((rank < most) & (noisy > outside[visit]))


def _places(visit: Ints, draws: Floats) -> Ints:
    """(S,) place of each shown listing on its visit's page, in random order from 0."""
    order = np.lexsort((draws, visit))
    place = np.empty(len(visit), np.int64)
    place[order] = np.arange(len(visit)) - np.searchsorted(visit, visit)
    return place


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))


def _canonical(
    log: pd.DataFrame,
    drawn: Visits,
    shoppers: Shoppers,
    stock: Sequence[Listing],
    *,
    start_us: int,
    source: str,
) -> pd.DataFrame:
    """Numbers to ids, weeks to times, rows to time order."""
    visit = log["visit"].to_numpy()
    begun = start_us + np.floor(drawn.week * WEEK_US).astype(np.int64)
    log = log.assign(time=begun[visit] + log["delay"].to_numpy())
    log = log.sort_values(["time", "visit", "item"], kind="stable", ignore_index=True)
    visit = log["visit"].to_numpy()
    users = np.array(shoppers.user_ids, dtype=object)
    items = np.array([one.item_id for one in stock], dtype=object)
    frame = pd.DataFrame(
        {
            tables.EVENT_ID: [f"mk-event-{number:07d}" for number in range(len(log))],
            tables.USER_ID: users[drawn.user[visit]],
            tables.ITEM_ID: items[log["item"].to_numpy()],
            tables.EVENT_TYPE: log[tables.EVENT_TYPE],
            tables.EVENT_TIMESTAMP: pd.to_datetime(log["time"], unit="us", utc=True),
            tables.QUANTITY: log[tables.QUANTITY],
            tables.UNIT_PRICE: log[tables.UNIT_PRICE],
            tables.SESSION_ID: [f"mk-visit-{number:06d}" for number in visit],
            tables.PROPENSITY: log[tables.PROPENSITY],
            tables.SOURCE: source,
        }
    )
    frame[tables.EVENT_TIMESTAMP] = frame[tables.EVENT_TIMESTAMP].dt.as_unit("us")
    return frame

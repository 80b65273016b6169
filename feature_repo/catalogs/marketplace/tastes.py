"""Who shops: latent tastes, needs, thrift and habits, and the utility they give a listing.

The utility of listing i for user u is

    U_ui = w_style·a_u[style_i] + w_palette·b_u[palette_i] + w_pattern·c_u[pattern_i]
         + w_material·d_u[material_i] + w_need·n_u[product_i]
         - w_price·t_u·(ln price_i - ln typical price of its product)
         + w_quality·q_i + w_charm·⟨h_u, h_i⟩/√H

where a, b, c, d are tastes (shared by all domains; b, c and d lean to what goes with the
user's styles), n is what the user needs (correlated within a room); some styles and products are
in fashion with everybody; t > 0 is thrift, q is what
everybody likes, of which the brand's tier tells a part, and h is a charm that no photo or text
shows, only other people's choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from feature_repo.catalogs.marketplace.products import PRODUCTS, ROOMS
from feature_repo.catalogs.marketplace.stock import HIDDEN, Floats, Listing
from feature_repo.catalogs.marketplace.styles import (
    MATERIAL_NAMES,
    PALETTE_NAMES,
    PATTERN_NAMES,
    STYLES,
)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term of the utility counts, in units of the choices' Gumbel noise."""

    style: float = 1.6
    palette: float = 1.1
    pattern: float = 0.7
    material: float = 0.7
    need: float = 2.0
    price: float = 0.6
    quality: float = 0.5
    charm: float = 0.5


WEIGHTS: Final = Weights()
FASHION: Final = 0.5
"""How far the average user's tastes and needs lie from none, in units of their spread."""


@dataclass(frozen=True, slots=True)
class Shoppers:
    """U users' latent traits."""

    user_ids: list[str]
    style: Floats
    """(U, styles)"""
    palette: Floats
    pattern: Floats
    material: Floats
    need: Floats
    """(U, products)"""
    thrift: Floats
    """(U,) above 0"""
    charm: Floats
    """(U, HIDDEN)"""
    home_share: Floats
    """(U,) how many of the visits are to the home department."""
    activity: Floats
    """(U,) visits relative to the mean."""


def make_shoppers(count: int, *, seed: int) -> Shoppers:
    """Draw the users."""
    rng = np.random.default_rng([seed, 23])
    style = FASHION * rng.normal(size=len(STYLES)) + rng.normal(size=(count, len(STYLES)))
    wanted = FASHION * rng.normal(size=len(PRODUCTS))
    room = rng.normal(size=(count, len(ROOMS)))
    of_product = [ROOMS.index(product.room) for product in PRODUCTS]
    own = rng.normal(size=(count, len(PRODUCTS)))
    return Shoppers(
        user_ids=[f"user-{number:05d}" for number in range(count)],
        style=style,
        palette=_leaning(style, "palettes", PALETTE_NAMES, rng),
        pattern=_leaning(style, "patterns", PATTERN_NAMES, rng),
        material=_leaning(style, "materials", MATERIAL_NAMES, rng),
        need=wanted + 0.6 * room[:, of_product] + 0.8 * own,
        thrift=np.exp(rng.normal(-0.1, 0.6, count)),
        charm=rng.normal(size=(count, HIDDEN)),
        home_share=rng.beta(3.0, 1.6, count),
        activity=rng.gamma(8.0, 0.125, count),
    )


def _leaning(
    style: Floats, factor: str, names: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    """(U, names) tastes: half the user's own, half what goes with the styles they like."""
    fits = np.array([[name in getattr(one, factor) for name in names] for one in STYLES], float)
    lean = style @ (fits / np.maximum(np.sqrt((fits**2).sum(axis=0)), 1.0))
    own = rng.normal(size=lean.shape)
    return np.asarray(0.6 * lean + 0.8 * own)


def utilities(
    shoppers: Shoppers, stock: Sequence[Listing], *, weights: Weights = WEIGHTS
) -> Floats:
    """(U, N) utility of every listing for every user; see the module's formula."""
    surcharge = np.array([np.log(one.price / one.kind.price) for one in stock])
    charm = np.array([one.charm for one in stock])
    quality = np.array([one.quality for one in stock])
    return np.asarray(
        weights.style * shoppers.style[:, [one.style for one in stock]]
        + weights.palette * shoppers.palette[:, [one.palette for one in stock]]
        + weights.pattern * shoppers.pattern[:, [one.pattern for one in stock]]
        + weights.material * shoppers.material[:, [one.material for one in stock]]
        + weights.need * shoppers.need[:, [one.product for one in stock]]
        - weights.price * shoppers.thrift[:, None] * surcharge
        + weights.quality * quality
        + weights.charm * (shoppers.charm @ charm.T) / np.sqrt(HIDDEN)
    )

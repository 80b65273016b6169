"""The latent truth about every listing, before a seller writes a word about it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_repo.catalogs.marketplace.brands import BRANDS, pick_brand
from feature_repo.catalogs.marketplace.photos import Recipe
from feature_repo.catalogs.marketplace.products import HOME, PRODUCTS, Product
from feature_repo.catalogs.marketplace.size import MarketplaceSize
from feature_repo.catalogs.marketplace.styles import (
    MATERIAL_NAMES,
    MATERIALS,
    PALETTE_NAMES,
    PATTERN_NAMES,
    STYLES,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HIDDEN: Final = 3
"""Dimensions of a charm that neither photo nor text shows."""
OPENING_SHARE: Final = 0.25
"""Listings that stand when the log begins; the others launch evenly over its weeks."""
OPENING_WEEKS: Final = 10.0
"""How long before the log the opening stock was listed."""
RETIRED_SHARE: Final = 0.06
"""Of the opening stock, taken down in the second half of the log."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing's latent factors; indexes into PRODUCTS, STYLES, …"""

    item_id: str
    product: int
    style: int
    palette: int
    pattern: int
    material: int
    brand: int
    seed: int
    price: float
    quality: float
    """What everybody likes about it; the brand's tier tells a part."""
    charm: tuple[float, ...]
    """HIDDEN numbers that only choices reveal."""
    listed_week: float
    """Weeks since the log's beginning; negative for the opening stock."""
    retired_week: float
    """Infinite while it is on offer."""

    @property
    def kind(self) -> Product:
        return PRODUCTS[self.product]

    @property
    def is_home(self) -> bool:
        return self.kind.domain == HOME

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            self.kind.name, self.style, self.palette, self.pattern, self.material, self.seed
        )


def make_stock(size: MarketplaceSize, *, seed: int) -> list[Listing]:
    """Every listing of the marketplace in ascending id, home and source mixed."""
    rng = np.random.default_rng([seed, 11])
    kinds = [_products(home=True, count=size.home_listings, rng=rng)]
    kinds.append(_products(home=False, count=size.source_listings, rng=rng))
    weeks = [launch_weeks(len(part), weeks=size.weeks, rng=rng) for part in kinds]
    products, listed = np.concatenate(kinds), np.concatenate(weeks)
    order = rng.permutation(len(products))
    return [
        make_listing(f"mk-{number:05d}", int(products[row]), rng, week=float(listed[row]), of=size)
        for number, row in enumerate(order)
    ]


def _products(*, home: bool, count: int, rng: np.random.Generator) -> Ints:
    """(count,) kinds of one side, as even as they divide, shuffled."""
    kinds = [index for index, kind in enumerate(PRODUCTS) if (kind.domain == HOME) == home]
    return np.asarray(rng.permutation(np.resize(kinds, count)), dtype=np.int64)


def launch_weeks(count: int, *, weeks: int, rng: np.random.Generator) -> Floats:
    """(count,) when each is listed: the opening stock before week 0, then some every week."""
    opening = round(count * OPENING_SHARE)
    launched = np.arange(count - opening) * weeks // (count - opening)
    within = rng.uniform(0.0, 0.95, count - opening)
    before = -rng.uniform(0.0, OPENING_WEEKS, opening)
    return np.concatenate([before, launched + within])


def make_listing(
    item_id: str, product: int, rng: np.random.Generator, *, week: float, of: MarketplaceSize
) -> Listing:
    """Draw the factors of one listing: the style first, the others mostly to go with it."""
    kind = PRODUCTS[product]
    style = int(rng.integers(len(STYLES)))
    material = _material(kind, style, rng)
    brand = pick_brand(style, kind.domain, rng)
    tier = BRANDS[brand].tier
    price = kind.price * MATERIALS[material].cost * np.exp(0.3 * tier + rng.normal(0, 0.35))
    retires = week < 0 and rng.random() < RETIRED_SHARE
    return Listing(
        item_id,
        product,
        style,
        palette=_matching(STYLES[style].palettes, PALETTE_NAMES, 0.65, rng),
        pattern=_matching(STYLES[style].patterns, PATTERN_NAMES, 0.6, rng),
        material=material,
        brand=brand,
        seed=int(rng.integers(2**31)),
        price=round(float(price), 2),
        quality=float(0.45 * tier + rng.normal()),
        charm=tuple(float(value) for value in rng.normal(size=HIDDEN)),
        listed_week=week,
        retired_week=of.weeks * float(rng.uniform(0.5, 0.95)) if retires else np.inf,
    )


def _matching(
    fitting: tuple[str, ...], names: tuple[str, ...], share: float, rng: np.random.Generator
) -> int:
    """Index of one of the fitting names with probability `share`, else of any."""
    options = fitting if rng.random() < share else names
    return names.index(str(rng.choice(options)))


def _material(kind: Product, style: int, rng: np.random.Generator) -> int:
    fitting = [name for name in kind.materials if name in STYLES[style].materials]
    options = fitting if fitting and rng.random() < 0.7 else list(kind.materials)
    return MATERIAL_NAMES.index(str(rng.choice(options)))

"""Who makes things: invented brands, each with a style it is known for and a tier."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from feature_repo.catalogs.marketplace.products import HOME
from feature_repo.catalogs.marketplace.styles import STYLES


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand, whose tier shows in its prices and partly in its quality."""

    name: str
    style: int
    tier: float
    """-1 budget, 0 middle, 1 premium."""
    sells_home: bool
    sells_source: bool


_NAMES: Final = (
    ("Fjellbo", "Lundvik", "Askeby", "Solvhav", "Nordlinn", "Havsten"),
    ("Rivetworks", "Blackforge", "Gantry Nine", "Ironmoor", "Kessel & Pike", "Halle Sieben"),
    ("Marisolana", "Casa Tulum", "Zafira Loom", "Wanderloom", "Ojai Thread", "Kilimba"),
    ("Lumière Dorée", "Velours Paris", "Gildane", "Maison Opaline", "Aurelle", "Deco Royale"),
    ("Ashcombe", "Wexley Hall", "Thornbury", "Old Mill House", "Pemberly & Sons", "Harrowgate"),
    ("Saltmarsh", "Driftline", "Port Avery", "Seagrass Co", "Harbour Lane", "Pale Dune"),
)
"""Six a style: two sell for the home, two do not, two sell everything."""

_TIERS: Final = (-1.0, 1.0, 0.0, 1.0, 0.0, -1.0)

BRANDS: Final = tuple(
    Brand(name, style, _TIERS[(place + style) % 6], place not in (2, 3), place not in (0, 1))
    for style, names in enumerate(_NAMES)
    for place, name in enumerate(names)
)
SELLERS_PER_BRAND: Final = 3


def pick_brand(style: int, domain: str, rng: np.random.Generator) -> int:
    """Index of a brand that sells in the domain; four in five are known for the style."""
    known_for = style if rng.random() < 0.8 else int(rng.integers(len(STYLES)))
    options = [
        index
        for index, brand in enumerate(BRANDS)
        if brand.style == known_for and (brand.sells_home if domain == HOME else brand.sells_source)
    ]
    return int(rng.choice(options))

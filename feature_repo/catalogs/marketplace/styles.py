"""What listings look like: styles, palettes, patterns, materials, and the words for them.

Both domains share these factors, so a taste shown on clothing says something about sofas.
"""

from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Factor:
    """One value of a latent factor and how sellers call it, commonest word first."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Style(Factor):
    """A style: its hardware, its shapes and the factors it goes with."""

    frame: Colour
    """Colour of legs, rods and rims."""
    leg: str
    """taper, hairpin, block, turned or cross."""
    leg_width: float
    """Share of the picture's width."""
    roundness: float
    """Of corners: 0 square, 1 round."""
    detail: str
    """What a body carries: none, rivets, fringe, scallop, buttons or rope."""
    palettes: tuple[str, ...]
    patterns: tuple[str, ...]
    materials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Palette(Factor):
    """Three colours of the product and one behind it."""

    body: Colour
    second: Colour
    accent: Colour
    backdrop: Colour


@dataclass(frozen=True, slots=True)
class Material(Factor):
    """What it is made of."""

    cost: float
    """Multiplies the price."""
    texture: str
    """smooth, grain, weave, sheen, cane, glossy or knit."""
    tint: Colour
    """The material's own colour."""
    tint_share: float
    """How much of it shows through a dye."""


STYLES: Final = (
    Style(
        "scandinavian",
        ("scandinavian", "nordic", "scandi", "hygge", "danish"),
        frame=(214, 178, 128),
        leg="taper",
        leg_width=0.022,
        roundness=0.35,
        detail="none",
        palettes=("neutral", "pastel", "ocean"),
        patterns=("plain", "stripes", "dots"),
        materials=("oak", "linen", "wool", "ceramic"),
    ),
    Style(
        "industrial",
        ("industrial", "loft", "urban", "factory", "warehouse"),
        frame=(38, 38, 42),
        leg="hairpin",
        leg_width=0.014,
        roundness=0.0,
        detail="rivets",
        palettes=("monochrome", "earth", "neutral"),
        patterns=("plain", "checks", "geometric"),
        materials=("steel", "leather", "concrete", "canvas"),
    ),
    Style(
        "boho",
        ("boho", "bohemian", "folk", "artisan", "nomad"),
        frame=(166, 106, 60),
        leg="cross",
        leg_width=0.022,
        roundness=0.6,
        detail="fringe",
        palettes=("sunset", "earth", "jewel"),
        patterns=("zigzag", "floral", "stripes"),
        materials=("rattan", "wool", "canvas", "ceramic"),
    ),
    Style(
        "glamour",
        ("glam", "art deco", "glamour", "luxe", "hollywood"),
        frame=(212, 172, 66),
        leg="block",
        leg_width=0.018,
        roundness=0.9,
        detail="scallop",
        palettes=("jewel", "monochrome", "blossom"),
        patterns=("plain", "geometric", "waves"),
        materials=("velvet", "glass", "steel", "silk"),
    ),
    Style(
        "classic",
        ("classic", "traditional", "heritage", "victorian", "timeless"),
        frame=(92, 50, 30),
        leg="turned",
        leg_width=0.03,
        roundness=0.5,
        detail="buttons",
        palettes=("forest", "jewel", "neutral"),
        patterns=("floral", "checks", "stripes"),
        materials=("leather", "velvet", "oak", "wool"),
    ),
    Style(
        "coastal",
        ("coastal", "nautical", "beach", "hamptons", "seaside"),
        frame=(240, 238, 230),
        leg="block",
        leg_width=0.032,
        roundness=0.2,
        detail="rope",
        palettes=("ocean", "neutral", "pastel"),
        patterns=("stripes", "waves", "plain"),
        materials=("linen", "rattan", "canvas", "glass"),
    ),
)

PALETTES: Final = (
    Palette(
        "neutral",
        ("beige", "cream", "sand", "oatmeal", "natural"),
        (214, 202, 182),
        (176, 160, 136),
        (120, 104, 84),
        (240, 236, 228),
    ),
    Palette(
        "monochrome",
        ("black", "charcoal", "graphite", "anthracite", "black and white"),
        (62, 62, 66),
        (232, 232, 232),
        (140, 140, 144),
        (226, 226, 228),
    ),
    Palette(
        "earth",
        ("terracotta", "rust", "clay", "cinnamon", "brown"),
        (168, 92, 58),
        (220, 182, 140),
        (92, 58, 40),
        (238, 226, 212),
    ),
    Palette(
        "ocean",
        ("blue", "navy", "teal", "indigo", "sea blue"),
        (44, 92, 142),
        (222, 234, 240),
        (24, 52, 92),
        (226, 236, 242),
    ),
    Palette(
        "forest",
        ("green", "sage", "olive", "moss", "emerald green"),
        (70, 104, 72),
        (196, 206, 170),
        (40, 62, 46),
        (230, 236, 226),
    ),
    Palette(
        "jewel",
        ("burgundy", "plum", "ruby", "wine", "aubergine"),
        (122, 28, 66),
        (224, 176, 84),
        (62, 20, 64),
        (234, 224, 230),
    ),
    Palette(
        "sunset",
        ("orange", "mustard", "ochre", "saffron", "yellow"),
        (226, 150, 40),
        (200, 66, 44),
        (250, 220, 150),
        (246, 236, 220),
    ),
    Palette(
        "pastel",
        ("mint", "lilac", "powder", "baby blue", "pale mint"),
        (176, 216, 204),
        (222, 200, 228),
        (250, 240, 214),
        (244, 244, 246),
    ),
    Palette(
        "blossom",
        ("pink", "blush", "rose", "fuchsia", "dusty pink"),
        (226, 130, 154),
        (250, 222, 226),
        (156, 52, 92),
        (248, 236, 238),
    ),
)

PATTERNS: Final = (
    Factor("plain", ("plain", "solid", "uni")),
    Factor("stripes", ("striped", "stripe", "pinstripe", "ticking")),
    Factor("checks", ("checked", "plaid", "tartan", "gingham")),
    Factor("dots", ("dotted", "polka dot", "spotted", "dots")),
    Factor("floral", ("floral", "flowers", "botanical", "blossom print")),
    Factor("geometric", ("geometric", "diamond", "triangle print", "harlequin")),
    Factor("zigzag", ("zigzag", "chevron", "ikat", "herringbone")),
    Factor("waves", ("wavy", "scalloped", "shell print", "waves")),
)

MATERIALS: Final = (
    Material("oak", ("oak", "wood", "solid wood", "ash wood"), 1.25, "grain", (196, 146, 92), 0.6),
    Material(
        "steel", ("steel", "metal", "iron", "brushed metal"), 1.0, "sheen", (150, 155, 162), 0.5
    ),
    Material("leather", ("leather", "hide", "nappa", "suede"), 1.7, "smooth", (120, 72, 44), 0.35),
    Material("velvet", ("velvet", "velour", "plush"), 1.35, "sheen", (60, 40, 60), 0.1),
    Material("linen", ("linen", "flax", "linen blend"), 1.1, "weave", (222, 212, 192), 0.25),
    Material("wool", ("wool", "knitted", "boucle", "merino"), 1.3, "knit", (230, 226, 216), 0.2),
    Material(
        "canvas",
        ("cotton", "canvas", "organic cotton", "denim"),
        0.8,
        "weave",
        (216, 208, 196),
        0.1,
    ),
    Material("silk", ("silk", "satin", "charmeuse"), 1.6, "glossy", (250, 246, 240), 0.2),
    Material("rattan", ("rattan", "wicker", "cane", "bamboo"), 0.95, "cane", (208, 170, 112), 0.65),
    Material("glass", ("glass", "crystal", "smoked glass"), 1.15, "glossy", (196, 222, 228), 0.5),
    Material(
        "ceramic",
        ("ceramic", "stoneware", "porcelain", "glazed clay"),
        0.9,
        "glossy",
        (240, 236, 230),
        0.15,
    ),
    Material("concrete", ("concrete", "cement", "stone"), 1.0, "smooth", (160, 160, 158), 0.65),
)

STYLE_NAMES: Final = tuple(style.name for style in STYLES)
PALETTE_NAMES: Final = tuple(palette.name for palette in PALETTES)
PATTERN_NAMES: Final = tuple(pattern.name for pattern in PATTERNS)
MATERIAL_NAMES: Final = tuple(material.name for material in MATERIALS)

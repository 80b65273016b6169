"""What is sold: kinds of product, how they are called, where they belong, what they cost."""

from dataclasses import dataclass
from typing import Final

HOME: Final = "home"
CLOTHING: Final = "clothing"
BAGS: Final = "bags"
ELECTRONICS: Final = "electronics"
SOURCE_DOMAINS: Final = (CLOTHING, BAGS, ELECTRONICS)

ROOMS: Final = ("living", "dining", "bedroom", "entrance", "person")
"""Needs go by room: who furnishes a bedroom needs several of its things."""

SOLID: Final = ("oak", "steel", "rattan", "glass", "concrete")
SOFT: Final = ("leather", "velvet", "linen", "wool", "canvas")
CLOTH: Final = ("linen", "wool", "canvas", "velvet", "silk")
WEAR: Final = ("linen", "wool", "canvas", "silk", "leather", "velvet")
VESSEL: Final = ("ceramic", "glass", "concrete", "rattan", "steel")
DEVICE: Final = ("steel", "leather", "canvas", "oak", "glass", "rattan")


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of product."""

    name: str
    """Also the name of its drawing in `shapes`."""
    domain: str
    category: str
    """Path from the root."""
    room: str
    nouns: tuple[str, ...]
    """What sellers call it, commonest first."""
    price: float
    """Typical, in the shop's currency."""
    materials: tuple[str, ...]


def _home(
    name: str, branch: str, room: str, nouns: str, price: float, materials: tuple[str, ...]
) -> Product:
    names = tuple(nouns.split("|"))
    return Product(name, HOME, f"Home > {branch}", room, names, price, materials)


def _source(
    name: str, domain: str, leaf: str, nouns: str, price: float, materials: tuple[str, ...]
) -> Product:
    path = f"{domain.capitalize()} > {leaf}"
    return Product(name, domain, path, "person", tuple(nouns.split("|")), price, materials)


PRODUCTS: Final = (
    _home("sofa", "Seating > Sofas", "living", "sofa|couch|settee", 780.0, SOFT),
    _home("armchair", "Seating > Armchairs", "living", "armchair|lounge chair", 340.0, SOFT),
    _home("chair", "Seating > Chairs", "dining", "chair|dining chair", 120.0, (*SOFT, *SOLID[:3])),
    _home("stool", "Seating > Stools", "dining", "stool|bar stool", 75.0, (*SOFT, *SOLID[:3])),
    _home("table", "Tables > Dining tables", "dining", "dining table|table", 420.0, SOLID),
    _home("side_table", "Tables > Side tables", "living", "side table|end table", 110.0, SOLID),
    _home("shelf", "Storage > Shelves", "entrance", "shelf|bookcase|shelving unit", 190.0, SOLID),
    _home("bed", "Bedroom > Beds", "bedroom", "bed|bed frame", 560.0, (*SOFT, "oak", "steel")),
    _home("floor_lamp", "Lighting > Floor lamps", "living", "floor lamp|lamp", 130.0, CLOTH),
    _home(
        "table_lamp", "Lighting > Table lamps", "bedroom", "table lamp|lamp", 60.0, (*CLOTH, *SOLID)
    ),
    _home("pendant", "Lighting > Pendants", "dining", "pendant light|ceiling lamp", 95.0, VESSEL),
    _home("rug", "Textiles > Rugs", "living", "rug|carpet", 160.0, CLOTH),
    _home("cushion", "Textiles > Cushions", "living", "cushion|pillow", 28.0, SOFT),
    _home("curtain", "Textiles > Curtains", "bedroom", "curtains|drapes", 70.0, CLOTH),
    _home("vase", "Decoration > Vases", "entrance", "vase|flower vase", 35.0, VESSEL),
    _home("planter", "Decoration > Plant pots", "entrance", "plant pot|planter", 30.0, VESSEL),
    _home("mirror", "Decoration > Mirrors", "entrance", "mirror|wall mirror", 115.0, SOLID),
    _source("dress", CLOTHING, "Dresses", "dress|gown", 85.0, WEAR),
    _source("shirt", CLOTHING, "Tops", "t-shirt|top|tee", 32.0, WEAR),
    _source("coat", CLOTHING, "Coats", "coat|jacket", 160.0, WEAR),
    _source("skirt", CLOTHING, "Skirts", "skirt|midi skirt", 55.0, WEAR),
    _source("scarf", CLOTHING, "Scarves", "scarf|shawl", 38.0, CLOTH),
    _source("tote", BAGS, "Totes", "tote bag|shopper", 65.0, WEAR),
    _source("backpack", BAGS, "Backpacks", "backpack|rucksack", 90.0, SOFT),
    _source("headphones", ELECTRONICS, "Headphones", "headphones|headset", 140.0, DEVICE),
    _source("speaker", ELECTRONICS, "Speakers", "speaker|bluetooth speaker", 120.0, DEVICE),
    _source("phone_case", ELECTRONICS, "Phone cases", "phone case|phone cover", 24.0, DEVICE),
)

"""Kinds of defects as feeds have them, each with the check that must find it.

A kind changes one sound row; what it does to a photo it does to a copy of the file.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from feature_repo.catalogs.marketplace.defects import bomb
from validation import tables
from validation.photos import ORIENTATION

Row = dict[str, Any]
BANNED: Final = ("ivory",)
PLACEHOLDER_ROWS: Final = 6
MARKED_ROWS: Final = 100
MARK: Final = "oakhouse"
MARK_OPACITY: Final = 0.4
LONG_WORDS: Final = "A sturdy piece for every room. "
GERMAN: Final = "Stabiler Esstisch aus Eiche für sechs Personen, der sich leicht abwischen lässt."
FRENCH: Final = "Notre tapis en laine le plus doux, tissé à la main et fait pour durer."
SPANISH: Final = "Silla de jardín apilable con asiento que seca pronto y aguanta la lluvia."
DUTCH: Final = "Staande lamp met een linnen kap en een voet van messing; zonder peertje."


@dataclass(frozen=True, slots=True)
class Bench:
    """What a defect may use besides its row."""

    folder: Path
    """For changed photos."""
    accepted: pd.DataFrame
    """Accepted listings."""
    originals: pd.DataFrame
    """Listings of the batch in which nothing is planted, to be copied."""
    generator: np.random.Generator


Change = Callable[[Row, Bench], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind."""

    name: str
    check: str
    change: Change
    rows: int = field(default=5)
    """How many rows of a batch get it."""


def setting(**values: Any) -> Change:
    """The same values for every row."""
    return lambda row, bench: values


def edited(column: str, edit: Callable[[Any], Any]) -> Change:
    """A value made from the row's own."""
    return lambda row, bench: {column: edit(row[column])}


def photo(change: Callable[[Image.Image], Image.Image], kind: str = "JPEG", **how: Any) -> Change:
    """A changed photo in place of the row's own."""

    def make(row: Row, bench: Bench) -> Mapping[str, Any]:
        with Image.open(row[tables.IMAGE_PATH]) as image:
            changed = change(image.convert("RGB"))
        buffer = io.BytesIO()
        changed.save(buffer, kind, **how)
        return _written(row, bench, buffer.getvalue())

    return make


def file(edit: Callable[[bytes], bytes]) -> Change:
    """Changed bytes in place of the row's photo."""
    return lambda row, bench: _written(row, bench, edit(Path(row[tables.IMAGE_PATH]).read_bytes()))


def _written(row: Row, bench: Bench, content: bytes) -> Mapping[str, Any]:
    path = bench.folder / f"{row[tables.ITEM_ID]}.img"
    path.write_bytes(content)
    return {tables.IMAGE_PATH: str(path)}


def _png_cut(row: Row, bench: Bench) -> Mapping[str, Any]:
    with Image.open(row[tables.IMAGE_PATH]) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG")
    return _written(row, bench, buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])


def _other(row: Row, among: pd.DataFrame, bench: Bench) -> Row:
    others = among[among[tables.ITEM_ID] != row[tables.ITEM_ID]]
    chosen: Row = others.iloc[int(bench.generator.integers(len(others)))].to_dict()
    return chosen


def _copy_of(among: str, *, add: str = "") -> Change:
    """The words of another listing, with some added."""

    def make(row: Row, bench: Bench) -> Mapping[str, Any]:
        other = _other(row, getattr(bench, among), bench)
        return {
            tables.TITLE: f"{other[tables.TITLE]}{add}",
            **{name: other[name] for name in (tables.DESCRIPTION, tables.ATTRIBUTES)},
        }

    return make


def _described(text: str, **values: Any) -> Change:
    """A description of the row's own number, so that no two are copies."""
    return lambda row, bench: {tables.DESCRIPTION: f"{text} {row[tables.ITEM_ID]}", **values}


def _photo_of(among: str, quality: int | None) -> Change:
    """The photo of another listing, saved again at a quality or the same file."""

    def make(row: Row, bench: Bench) -> Mapping[str, Any]:
        path = _other(row, getattr(bench, among), bench)[tables.IMAGE_PATH]
        if quality is None:
            return {tables.IMAGE_PATH: path}
        with Image.open(path) as image:
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=quality)
        return _written(row, bench, buffer.getvalue())

    return make


def _placeholder(row: Row, bench: Bench) -> Mapping[str, Any]:
    path = bench.folder / "no_photo_yet.png"
    if not path.exists():
        image = Image.new("RGB", (300, 300), "white")
        image.paste("grey", (40, 120, 260, 180))
        image.paste("black", (90, 60, 120, 240))
        image.save(path)
    return {tables.IMAGE_PATH: str(path)}


def watermarked(image: Image.Image) -> Image.Image:
    """The photo with a grey word over it, through which it can be seen."""
    width, height = image.size
    opacity = Image.new("L", image.size, 0)
    ImageDraw.Draw(opacity).text(
        (width * 0.1, height * 0.6),
        MARK,
        fill=round(255 * MARK_OPACITY),
        font=ImageFont.load_default(width / 7),
    )
    return Image.composite(Image.new("RGB", image.size, "grey"), image, opacity)


def _another_sources_id(row: Row, bench: Bench) -> Mapping[str, Any]:
    return {tables.ITEM_ID: _other(row, bench.accepted, bench)[tables.ITEM_ID]}


def _batch_id(row: Row, bench: Bench) -> Mapping[str, Any]:
    return {tables.ITEM_ID: bench.originals[tables.ITEM_ID].iloc[0]}


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


VALUES: Final = (
    Defect("id missing", "item_id_present", setting(item_id=None)),
    Defect("id blank", "item_id_present", setting(item_id="   ")),
    Defect("id twice in the batch", "duplicate_id", _batch_id),
    Defect("id of another source", "id_of_another_source", _another_sources_id),
    Defect("no content", "content", setting(title=None, description=None, image_path=None)),
    Defect("price a word", "price_readable", setting(price="on request")),
    Defect("price NaN", "price_readable", setting(price="NaN")),
    Defect("price infinite", "price_readable", setting(price="inf")),
    Defect("price negative", "price_not_negative", edited(tables.PRICE, lambda price: -price)),
    Defect("currency misspelt", "currency_known", setting(currency="EURO")),
    Defect("currency a sign", "currency_known", setting(currency="€")),
    Defect("listed in the future", "listed_at_not_in_future", setting(listed_at="2031-01-01")),
    Defect("date unreadable", "listed_at_readable", setting(listed_at="31/31/2026")),
    Defect("available a word", "available_readable", setting(available="maybe")),
    Defect("attributes cut", "attributes_readable", setting(attributes='{"colour": "oak"')),
    Defect("attributes a list", "attributes_readable", setting(attributes="[1, 2]")),
    Defect("title test", "title_no_placeholder", setting(title="Test item 3")),
    Defect("title lorem ipsum", "title_no_placeholder", setting(title="Lorem ipsum dolor sit")),
    Defect("title untitled", "title_no_placeholder", setting(title="untitled")),
    Defect("title n/a", "title_no_placeholder", setting(title="N/A")),
    Defect("title half a character", "title_readable", setting(title="Lamp \ud800")),
    Defect("banned word in title", "title_allowed", setting(title="Carved ivory bowl")),
    Defect(
        "banned word in description",
        "description_allowed",
        setting(description="Handles of ivory."),
    ),
    Defect("price zero", "price_not_zero", setting(price=0)),
    Defect("price missing", "price_present", setting(price=None)),
    Defect("price in cents", "price_usual", edited(tables.PRICE, lambda price: price * 100)),
    Defect("price in thousands", "price_usual", edited(tables.PRICE, lambda price: price / 1000)),
    Defect("price in another currency", "currency_usual", setting(currency="JPY")),
    Defect("category misspelt", "category_known", edited(tables.CATEGORY, lambda c: f"{c}z")),
    Defect("category of another shop", "category_known", setting(category="Boats > Sails")),
    Defect("category level empty", "category_path", setting(category="Home > > Lamps")),
    Defect("id with blanks", "id_trimmed", edited(tables.ITEM_ID, lambda name: f"{name} ")),
    Defect("HTML in title", "title_no_markup", edited(tables.TITLE, lambda t: f"<b>{t}</b>")),
    Defect("entity in title", "title_no_markup", edited(tables.TITLE, lambda t: f"{t} &amp; more")),
    Defect("HTML in description", "description_no_markup", setting(description="<p>Oak</p>")),
    Defect("invisible in title", "title_no_control", edited(tables.TITLE, lambda t: f"{t}\u200b")),
    Defect("control in description", "description_no_control", setting(description="Oak\x07")),
    Defect(
        "title misread", "title_no_encoding", setting(title="\u00c3\u0089tag\u00c3\u00a8re of oak")
    ),
    Defect(
        "description misread",
        "description_no_encoding",
        setting(description="It\u00e2\u20ac\u2122s oak"),
    ),
    Defect("address in title", "title_no_contact", edited(tables.TITLE, lambda t: f"{t} www.x.io")),
    Defect("mail in description", "description_no_contact", setting(description="Ask me@x.com")),
    Defect("phone in title", "title_no_contact", setting(title="Lamp, call +44 20 7946 0000")),
    Defect("title says it thrice", "title_repeats_nothing", setting(title="Sofa sofa sofa cheap")),
    Defect("title without words", "title_has_words", setting(title="4711-0815")),
    Defect("title of one letter", "title_length", setting(title="X")),
    Defect("title endless", "title_length", setting(title=LONG_WORDS * 10)),
    Defect("description endless", "description_length", setting(description=LONG_WORDS * 400)),
    Defect("title in another script", "title_script_usual", setting(title="Настольная лампа")),
    Defect("description in German", "text_language_usual", _described(GERMAN)),
    Defect("description in French", "text_language_usual", _described(FRENCH)),
    Defect("all in Spanish", "text_language_usual", _described(SPANISH, title="Silla de jardín")),
    Defect("title in Dutch alone", "text_language_usual", setting(title=DUTCH, description=None)),
    Defect("listed in 1970", "listed_at_plausible", setting(listed_at="1970-01-01")),
    Defect("width negative", "measures_plausible", setting(attributes='{"width": "-40 cm"}')),
    Defect("height of a tower", "measures_plausible", setting(attributes='{"height": "45 m"}')),
    Defect("copy in the batch", "text_unlike_others", _copy_of("originals")),
    Defect("copy with a word more", "text_unlike_others", _copy_of("originals", add=" new")),
    Defect("copy of an accepted one", "text_unlike_others", _copy_of("accepted")),
)
PHOTOS: Final = (
    Defect("photo not there", "photo_missing", setting(image_path="/nowhere/photo.jpg")),
    Defect("photo a folder", "photo_missing", lambda row, bench: {"image_path": str(bench.folder)}),
    Defect("photo empty", "photo_empty", file(lambda content: b"")),
    Defect("photo an error page", "photo_unreadable", file(lambda content: b"<html>404</html>")),
    Defect("photo cut", "photo_truncated", file(lambda content: content[: len(content) * 3 // 4])),
    Defect("PNG cut", "photo_truncated", _png_cut),
    Defect("photo a bomb", "photo_too_large", file(lambda content: bomb())),
    Defect("photo a dot", "photo_too_small", photo(lambda image: image.resize((8, 8)))),
    Defect(
        "photo one colour",
        "photo_blank",
        photo(lambda image: Image.new("RGB", image.size, image.getpixel((0, 0)))),
    ),
    Defect("photo small", "photo_coarse", photo(lambda image: image.resize((48, 48)))),
    Defect(
        "photo blurred",
        "photo_blurred",
        photo(lambda image: image.filter(ImageFilter.GaussianBlur(min(image.size) / 25))),
    ),
    Defect("photo a strip", "photo_strip", photo(lambda image: image.resize((900, 120)))),
    Defect("photo sideways", "photo_sideways", photo(lambda image: image, exif=_turned())),
    Defect("photo a bitmap", "photo_other_format", photo(lambda image: image, "BMP")),
    Defect("photo of another listing", "photo_unlike_others", _photo_of("originals", None)),
    Defect("photo saved again", "photo_unlike_others", _photo_of("accepted", 60)),
    Defect("photo with a watermark", "photo_watermark", photo(watermarked), rows=MARKED_ROWS),
    Defect("placeholder photo", "photo_of_one_piece", _placeholder, rows=PLACEHOLDER_ROWS),
)
EVENTS: Final = (
    Defect("user missing", "user_id_present", setting(user_id=None)),
    Defect("item missing", "item_id_present", setting(item_id=None)),
    Defect("item unknown", "known_item", setting(item_id="nosuch")),
    Defect("type missing", "event_type_present", setting(event_type=None)),
    Defect("type unknown", "event_type_known", setting(event_type="looked")),
    Defect("time missing", "event_timestamp_present", setting(event_timestamp=None)),
    Defect("time unreadable", "event_timestamp_readable", setting(event_timestamp="yesterday")),
    Defect(
        "time in the future", "event_timestamp_not_in_future", setting(event_timestamp="2031-01-01")
    ),
    Defect("quantity zero", "quantity_positive", setting(quantity=0)),
    Defect("quantity a word", "quantity_readable", setting(quantity="two")),
    Defect("unit price negative", "unit_price_not_negative", setting(unit_price=-1)),
    Defect("propensity above one", "propensity_in_range", setting(propensity=1.5)),
    Defect("propensity zero", "propensity_in_range", setting(propensity=0)),
    Defect("rating without stars", "rating_value", setting(event_type="rating", value=None)),
    Defect("event id twice", "duplicate_id", setting(event_id="e0")),
)
VECTORS: Final = (
    Defect("vector short", "vector_width", edited("embedding", lambda v: v[:-1])),
    Defect("vector absent", "vector_width", setting(embedding=None)),
    Defect("vector with NaN", "vector_finite", edited("embedding", lambda v: [np.nan, *v[1:]])),
    Defect("vector infinite", "vector_finite", edited("embedding", lambda v: [np.inf, *v[1:]])),
    Defect("vector of zeros", "vector_nonzero", edited("embedding", lambda v: v * 0)),
    Defect("vector of another encoder", "vector_encoder", setting(encoder_hash="other")),
    Defect("vector turned round", "vector_near_others", edited("embedding", lambda v: v[::-1])),
)

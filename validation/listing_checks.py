"""The listings' checks on prices, texts, categories and photos, each with its sentence."""

import re
from collections.abc import Collection
from typing import Final

from validation import comparisons, tables
from validation.checks import Checklist
from validation.currencies import CURRENCIES
from validation.photos import (
    COARSE_PIXELS,
    FEWEST_PIXELS,
    LARGEST_FILE,
    MOST_PIXELS,
    USELESS,
    WIDEST,
    PhotoProblem,
)
from validation.pixels import BLURRED

PHOTO: Final = "photo_problems"
LONGEST_TITLE: Final = 250
LONGEST_DESCRIPTION: Final = 10_000

# Whoever sends a listing chooses the text: each of these takes time in proportion to it at worst,
# so nothing that could be given back again (`*` and not `*+`) stands beside what matches the same.
PLACEHOLDER: Final = (
    r"(?is)^\W*+(?:test(?:ing)?|(?:test|sample|dummy|new) (?:item|product|listing|title)|untitled"
    r"|lorem ipsum.*|product (?:name|title)|title|tbd|todo|to do|to be (?:done|defined)|n/?a|none"
    r"|null|nan|undefined|placeholder|dummy|asdf\w*+|qwerty\w*+|x{3,}+)"
    r"\W*+\d*+\W*+$"
)
MARKUP: Final = r"(?s)<[a-zA-Z/!][^<>]*>|&(?:amp|nbsp|quot|lt|gt|#x?[0-9a-fA-F]+);"
CONTROL: Final = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\ufeff]"
WRONG_ENCODING: Final = "\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac|\u00c2[\u00a0-\u00bf]"
CONTACT: Final = r"(?i)https?://|www\.|\S@[^\s@]+\.[a-z]{2,}|(?:\+|\b00)\d[\d ()/-]{7,}\d"
REPEATED: Final = r"(?i)\b(\w{2,})(?:\W+\1\b){2,}"


def prices(suite: Checklist, present: Collection[str]) -> None:
    """Price and currency by themselves."""
    if tables.PRICE in present:
        suite.block(
            "price_not_negative",
            tables.PRICE,
            "price is {value}, which is negative; give a price such as 12.50, or leave it empty",
            kind="ExpectColumnValuesWithin",
            column=tables.PRICE,
            lowest=0.0,
        )
        suite.block(
            "price_plausible",
            tables.PRICE,
            f"price is {{value}}; expected at most {tables.HIGHEST_PRICE:,.0f}; check the decimal "
            "point",
            kind="ExpectColumnValuesWithin",
            column=tables.PRICE,
            highest=tables.HIGHEST_PRICE,
        )
        suite.warn(
            "price_not_zero",
            tables.PRICE,
            "price is {value}; if the listing is not free, give a price such as 12.50",
            kind="ExpectColumnValuesToNotBeInSet",
            column=tables.PRICE,
            value_set=[0.0],
        )
        suite.warn(
            "price_present",
            tables.PRICE,
            "price is missing; the listing is ranked without it: give one such as 12.50",
            kind="ExpectColumnValuesToNotBeNull",
            column=tables.PRICE,
        )
    if tables.CURRENCY in present:
        suite.block(
            "currency_known",
            tables.CURRENCY,
            "currency is {value}, which is no ISO 4217 code; write one such as EUR, GBP or USD",
            kind="ExpectColumnValuesToBeInSet",
            column=tables.CURRENCY,
            value_set=sorted(CURRENCIES),
        )


def texts(suite: Checklist, present: Collection[str], *, banned: Collection[str]) -> None:
    """Ids, titles, descriptions and category paths by themselves."""
    _matches(
        suite,
        "id_trimmed",
        tables.ITEM_ID,
        r"(?s)^\S(?:.*\S)?$",
        "item_id {value} begins or ends with a blank; an event must spell it the same way",
    )
    if tables.TITLE in present:
        suite.block(
            "title_no_placeholder",
            tables.TITLE,
            "title is {value}, which stands for a title that is still missing; write what the "
            "piece is called",
            kind="ExpectTextToLack",
            column=tables.TITLE,
            pattern=PLACEHOLDER,
        )
        _matches(
            suite,
            "title_length",
            tables.TITLE,
            rf"(?s)^.{{2,{LONGEST_TITLE}}}$",
            f"title is {{value}}; expected 2 to {LONGEST_TITLE} characters",
        )
        _matches(
            suite,
            "title_has_words",
            tables.TITLE,
            r"[^\W\d_]",
            "title is {value}, without any word; write what the piece is called",
        )
        _lacks(
            suite,
            "title_repeats_nothing",
            tables.TITLE,
            REPEATED,
            "title is {value}, which says one word again and again; say it once",
        )
    for column in (tables.TITLE, tables.DESCRIPTION):
        if column in present:
            _text(suite, column, banned)
    if tables.DESCRIPTION in present:
        _matches(
            suite,
            "description_length",
            tables.DESCRIPTION,
            rf"(?s)^.{{0,{LONGEST_DESCRIPTION}}}$",
            f"the description is longer than {LONGEST_DESCRIPTION:,} characters; shorten it",
        )
    if tables.CATEGORY in present:
        _matches(
            suite,
            "category_path",
            tables.CATEGORY,
            r"^\s*[^>\s][^>]{0,199}(?:>\s*[^>\s][^>]{0,199}){0,7}$",
            "category is {value}; expected up to 8 levels such as 'Home > Lighting > Lamps', none "
            "of them empty",
        )
    if tables.LISTED_AT in present:
        suite.warn(
            "listed_at_plausible",
            tables.LISTED_AT,
            "listed_at is {value}, before 1990; correct the date, or leave it empty",
            kind="ExpectMomentsWithin",
            column=tables.LISTED_AT,
            earliest=tables.EARLIEST,
        )


def compared(suite: Checklist, checks: Collection[str]) -> None:
    """How the listing stands among the catalogue; a column of each check's name says whether."""
    sentences = {
        comparisons.CATEGORY: (
            tables.CATEGORY,
            "category {value} is not among the catalogue's{detail}; correct it if it is misspelt",
        ),
        comparisons.CURRENCY: (
            tables.CURRENCY,
            "currency is {value}, while the catalogue's prices are in {detail}; convert the price",
        ),
        comparisons.SCRIPT: (
            tables.TITLE,
            "title {value} is in {detail} letters, unlike the catalogue; translate it",
        ),
        comparisons.LANGUAGE: (
            tables.TITLE,
            "the text is in {detail}; translate it",
        ),
        comparisons.PRICE: (
            tables.PRICE,
            "price is {value}; listings of its category cost {detail}; check the decimal point and "
            "the currency",
        ),
        comparisons.TEXT_TWIN: (
            tables.TITLE,
            "the text reads the same as that of listing {detail}; keep one of them, or say what "
            "differs",
        ),
        comparisons.MEASURES: (
            tables.ATTRIBUTES,
            "{detail} is no size of a piece for a home; check the number and its unit",
        ),
        comparisons.PHOTO_TWIN: (
            tables.IMAGE_PATH,
            "the photo is that of listing {detail}; keep one of the listings, or take a photo of "
            "this piece",
        ),
        comparisons.PLACEHOLDER: (
            tables.IMAGE_PATH,
            "the same picture is on {detail} listings, as a placeholder is; upload a photo of this "
            "piece",
        ),
    }
    for name, (column, sentence) in sentences.items():
        if name in checks:
            suite.warn(name, column, sentence, kind="ExpectColumnValuesToHold", column=name)


def photos(suite: Checklist) -> None:
    """What was seen when each photo was decoded."""
    sentences = {
        PhotoProblem.MISSING: "photo {value} does not exist; correct the path or upload the photo",
        PhotoProblem.EMPTY: "photo {value} is an empty file (0 bytes); upload it again",
        PhotoProblem.UNREADABLE: "photo {value} cannot be decoded; save it as JPEG, PNG or WebP",
        PhotoProblem.TRUNCATED: "photo {value} ends too early (truncated); upload it again",
        PhotoProblem.TOO_LARGE: f"photo {{value}} claims more than {MOST_PIXELS // 10**6} million "
        "pixels and was not decoded; save a smaller one",
        PhotoProblem.TOO_SMALL: f"photo {{value}} is less than {FEWEST_PIXELS} pixels on its "
        "shorter side; upload a larger one",
        PhotoProblem.BLANK: "photo {value} is one single colour; upload one that shows the piece",
        PhotoProblem.COARSE: f"photo {{value}} is less than {COARSE_PIXELS} pixels on its shorter "
        "side; upload a larger one",
        PhotoProblem.BLURRED: f"photo {{value}} has no sharp edge (sharpness below {BLURRED:g}); "
        "upload a sharp one",
        PhotoProblem.STRIP: f"photo {{value}} is more than {WIDEST:g} times as long as wide; crop "
        "it to the piece",
        PhotoProblem.SIDEWAYS: "photo {value} is stored turned (EXIF orientation); save it upright",
        PhotoProblem.HEAVY: f"photo {{value}} is larger than {LARGEST_FILE // 10**6} MB; save a "
        "smaller one",
        PhotoProblem.OTHER_FORMAT: "photo {value} is no JPEG, PNG or WebP, which browsers show; "
        "save it as one of them",
        PhotoProblem.WATERMARK: "photo {value} bears a mark that other photos of the batch have at "
        "the same place; upload one without it",
    }
    for problem, sentence in sentences.items():
        add = suite.block if problem in USELESS else suite.warn
        add(
            f"photo_{problem.replace(' ', '_')}",
            tables.IMAGE_PATH,
            sentence,
            kind="ExpectPhotosWithoutProblem",
            column=PHOTO,
            problem=problem.bit,
        )


def whole_words(words: Collection[str]) -> str:
    """A pattern for any of them, in any case, where no letter or digit stands right beside it."""
    either = "|".join(re.escape(word) for word in sorted(words))
    return rf"(?i)(?<!\w)(?:{either})(?!\w)"


def _text(suite: Checklist, column: str, banned: Collection[str]) -> None:
    """What neither a title nor a description may hold."""
    for name, pattern, sentence in (
        ("markup", MARKUP, "has HTML in it; write plain text"),
        ("control", CONTROL, "has invisible control characters in it; write it anew"),
        ("encoding", WRONG_ENCODING, "was read in a wrong encoding; save the file as UTF-8"),
        ("contact", CONTACT, "has an address or a telephone number in it; leave it out"),
    ):
        _lacks(suite, f"{column}_no_{name}", column, pattern, f"{column} {{value}} {sentence}")
    if banned:
        suite.block(
            f"{column}_allowed",
            column,
            f"{column} {{value}} has a banned word in it; leave it out",
            kind="ExpectTextToLack",
            column=column,
            pattern=whole_words(banned),
        )


def _matches(suite: Checklist, name: str, column: str, pattern: str, sentence: str) -> None:
    kind = "ExpectColumnValuesToMatchRegex"
    suite.warn(name, column, sentence, kind=kind, column=column, regex=pattern)


def _lacks(suite: Checklist, name: str, column: str, pattern: str, sentence: str) -> None:
    kind = "ExpectTextToLack"
    suite.warn(name, column, sentence, kind=kind, column=column, pattern=pattern)

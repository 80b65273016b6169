"""What a good table is: one function per table builds its Great Expectations suite.

Every expectation carries in `meta` its name, the column it is about, its severity and a
sentence for the person who has to mend the row. In a sentence ``{value}`` is the raw value
and ``{detail}`` what only this run knows (the other row, the other source).
"""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final

from validation import tables
from validation.checks import Checklist
from validation.checks import Severity as Severity
from validation.currencies import CURRENCIES
from validation.photos import COARSE_PIXELS, FEWEST_PIXELS, MOST_PIXELS, PhotoProblem

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

PHOTO: Final = "photo_problem"
CONTENT: Final = (tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH)
KNOWN: Final = "item_known"
OWN: Final = "id_free"
RATED: Final = "rating_has_value"


def columns_of(suite: "ExpectationSuite") -> list[str]:
    """The columns that a suite's expectations read, each once."""
    columns: dict[str, None] = {}
    for expectation in suite.expectations:
        columns.update(dict.fromkeys(getattr(expectation, "column_list", None) or ()))
        if hasattr(expectation, "column"):
            columns[expectation.column] = None
    return list(columns)


def items(*, now: datetime, present: Collection[str], photos: bool) -> "ExpectationSuite":
    """The listings' suite.

    Args:
        now: no listing is from later.
        present: the canonical columns that the source has.
        photos: whether the photos were decoded.
    """
    suite = Checklist("items")
    suite.line_is_read(tables.ITEM_ID)
    suite.not_null(tables.ITEM_ID, "the item_id is missing; give every listing an id of its own")
    suite.casts(tables.ITEMS, present)
    suite.block(
        "content",
        tables.TITLE,
        "the listing has no title, no description and no photo; give it at least one of them",
        kind="ExpectSomePresent",
        column_list=list(CONTENT),
    )
    suite.block(
        "id_of_another_source",
        tables.ITEM_ID,
        "item_id {value} already belongs to source {detail}; ingest this one with --prefix, so "
        "that its ids differ, or with --replace",
        kind="ExpectColumnValuesToHold",
        column=OWN,
    )
    _prices(suite, present)
    suite.not_after(tables.LISTED_AT, now, present)
    _shape_of_texts(suite, present)
    if photos and tables.IMAGE_PATH in present:
        _photos(suite)
    return suite.built()


def events(*, now: datetime, present: Collection[str]) -> "ExpectationSuite":
    """The events' suite. See `items` for the arguments."""
    suite = Checklist("events")
    suite.line_is_read(tables.USER_ID)
    suite.not_null(tables.USER_ID, "the user_id is missing; every event needs who acted")
    suite.not_null(tables.ITEM_ID, "the item_id is missing; every event needs its listing")
    suite.not_null(
        tables.EVENT_TYPE, "the event_type is missing; say what was done, e.g. in mapping.toml"
    )
    suite.not_null(
        tables.EVENT_TIMESTAMP, "the time is missing; give it, or leave the column out for `seq`"
    )
    suite.casts(tables.EVENTS, present)
    suite.block(
        "known_item",
        tables.ITEM_ID,
        "item {value} is not in the catalogue; ingest its listing first (it may be in "
        "quarantine), then ingest these events again",
        kind="ExpectColumnValuesToHold",
        column=KNOWN,
    )
    suite.block(
        "event_type_known",
        tables.EVENT_TYPE,
        f"event_type is {{value}}; expected one of {', '.join(tables.EVENT_TYPES)}; map yours in "
        "mapping.toml",
        kind="ExpectColumnValuesToBeInSet",
        column=tables.EVENT_TYPE,
        value_set=list(tables.EVENT_TYPES),
    )
    suite.not_after(tables.EVENT_TIMESTAMP, now, present)
    _amounts(suite, present)
    return suite.built()


def embeddings(*, width: int, column: str, unit: bool) -> "ExpectationSuite":
    """The encoders' output: finite vectors of `width`, not all zero, of unit length if `unit`."""
    suite = Checklist("embeddings")
    suite.not_null(tables.ITEM_ID, "the item_id is missing; every vector needs its listing")
    wanted = {
        "width": f"the vector holds {{detail}}; expected {width} finite numbers; extract it again "
        "with the encoder that the store names",
        "finite": "the vector holds NaN or infinity; extract it again, and look at its photo or "
        "text if it comes back",
        "nonzero": "the vector is all zeros, which says nothing; leave the row out where an item "
        "has no photo or text",
    }
    if unit:
        wanted["unit"] = "the vector's length is {detail}, expected 1; normalise it"
    for quality, sentence in wanted.items():
        suite.block(
            f"vector_{quality}",
            column,
            sentence,
            kind="ExpectVectorsToBe",
            column=column,
            quality=quality,
            width=width,
        )
    return suite.built()


def identities(key: str, *, table: str) -> "ExpectationSuite":
    """The suite of what the other checks let through: no key twice; of several the first stays."""
    suite = Checklist(f"{table}_identities")
    suite.block(
        "duplicate_id",
        key,
        f"{key} {{value}} {{detail}}; keep one row per id",
        kind="ExpectColumnValuesToBeFirst",
        column=key,
    )
    return suite.built()


def _prices(suite: "Checklist", present: Collection[str]) -> None:
    if tables.PRICE in present:
        suite.block(
            "price_not_negative",
            tables.PRICE,
            "price is {value}, which is negative; give a price such as 12.50, or leave it empty",
            kind="ExpectColumnValuesWithin",
            column=tables.PRICE,
            lowest=0.0,
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


def _shape_of_texts(suite: "Checklist", present: Collection[str]) -> None:
    suite.warn(
        "id_trimmed",
        tables.ITEM_ID,
        "item_id {value} begins or ends with a blank; an event must spell it the same way",
        kind="ExpectColumnValuesToMatchRegex",
        column=tables.ITEM_ID,
        regex=r"(?s)^\S(?:.*\S)?$",
    )
    if tables.CATEGORY in present:
        suite.warn(
            "category_path",
            tables.CATEGORY,
            "category is {value}; expected up to 8 levels such as 'Home > Lighting > Lamps', none "
            "of them empty",
            kind="ExpectColumnValuesToMatchRegex",
            column=tables.CATEGORY,
            regex=r"^\s*[^>\s][^>]{0,199}(?:>\s*[^>\s][^>]{0,199}){0,7}$",
        )


def _photos(suite: "Checklist") -> None:
    sentences = {
        PhotoProblem.MISSING: "photo {value} does not exist; correct the path or upload the photo",
        PhotoProblem.EMPTY: "photo {value} is an empty file (0 bytes); upload it again",
        PhotoProblem.UNREADABLE: "photo {value} cannot be decoded; save it as JPEG, PNG or WebP",
        PhotoProblem.TRUNCATED: "photo {value} ends too early (truncated); upload it again",
        PhotoProblem.TOO_LARGE: f"photo {{value}} claims more than {MOST_PIXELS // 10**6} million "
        "pixels and was not decoded; save a smaller one",
        PhotoProblem.TOO_SMALL: f"photo {{value}} is less than {FEWEST_PIXELS} pixels on its "
        "shorter side; upload a larger one",
    }
    weak = {
        PhotoProblem.BLANK: "photo {value} is one single colour; upload one that shows the piece",
        PhotoProblem.COARSE: f"photo {{value}} is less than {COARSE_PIXELS} pixels on its shorter "
        "side; upload a larger one",
    }
    for problem, sentence in {**sentences, **weak}.items():
        add = suite.block if problem in sentences else suite.warn
        add(
            f"photo_{problem.replace(' ', '_')}",
            tables.IMAGE_PATH,
            sentence,
            kind="ExpectPhotosWithoutProblem",
            column=PHOTO,
            problem=str(problem),
        )


def _amounts(suite: "Checklist", present: Collection[str]) -> None:
    ranges: dict[str, tuple[str, dict[str, object], str]] = {
        tables.QUANTITY: (
            "quantity_positive",
            {"lowest": 0.0, "exclusive": True},
            "quantity is {value}; expected more than 0; leave returns out of the log",
        ),
        tables.UNIT_PRICE: (
            "unit_price_not_negative",
            {"lowest": 0.0},
            "unit_price is {value}, which is negative; leave returns and fees out of the log",
        ),
        tables.PROPENSITY: (
            "propensity_in_range",
            {"lowest": 0.0, "highest": 1.0, "exclusive": True},
            "propensity is {value}; expected a probability above 0 and up to 1, or nothing",
        ),
    }
    for column, (name, limits, sentence) in ranges.items():
        if column in present:
            kind = "ExpectColumnValuesWithin"
            suite.block(name, column, sentence, kind=kind, column=column, **limits)
    suite.warn(
        "rating_value",
        tables.VALUE,
        "the rating has no value; give its stars, or call the event something else",
        kind="ExpectColumnValuesToHold",
        column=RATED,
    )

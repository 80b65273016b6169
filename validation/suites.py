"""What a good table is: one function per table builds its Great Expectations suite.

Every expectation carries in `meta` its name, the column it is about, its severity and a
sentence for the person who has to mend the row. In a sentence ``{value}`` is the raw value
and ``{detail}`` what only this run knows (the other row, the other source).
"""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final

from validation import comparisons, listing_checks, log, tables
from validation.checks import DUPLICATE_ID, Check, Checklist, check_of
from validation.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

CONTENT: Final = (tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH)
KNOWN: Final = "item_known"
OWN: Final = "id_free"
ENCODER_HASH: Final = "encoder_hash"
AGREES: Final = "photo_and_text_agree"
HUMAN: Final = "user_human"
NEAR: Final = "near_others"
RATED: Final = "rating_has_value"
FIRST: Final = "id_first"


def columns_of(suite: "ExpectationSuite") -> list[str]:
    """The columns that a suite's expectations read, each once."""
    columns: dict[str, None] = {}
    for expectation in suite.expectations:
        columns.update(dict.fromkeys(getattr(expectation, "column_list", None) or ()))
        if hasattr(expectation, "column"):
            columns[expectation.column] = None
    return list(columns)


def every_suite(*, now: datetime) -> dict[str, "ExpectationSuite"]:
    """Name → each of our suites with all its checks."""
    found = [
        items(
            now=now,
            present=tables.ITEMS.names,
            photos=True,
            compared=comparisons.CHECKS,
            rules=Rules(banned=("…",)),
        ),
        identities(tables.ITEM_ID, table=tables.ITEMS.name),
        events(now=now, present=tables.EVENTS.names),
        identities(tables.EVENT_ID, table=tables.EVENTS.name),
        embeddings(width=1, column="embedding", unit=True, encoder_hash="…", compared=True),
        pairs(),
    ]
    return {str(suite.name): suite for suite in found}


def every_check(*, now: datetime) -> dict[str, list[Check]]:
    """Table → all checks there are of it, in their order."""
    checks: dict[str, list[Check]] = {}
    for name, suite in every_suite(now=now).items():
        table = name.removesuffix("_identities")
        checks.setdefault(table, []).extend(check_of(one.meta) for one in suite.expectations)
    return checks


def items(
    *,
    now: datetime,
    present: Collection[str],
    photos: bool,
    compared: Collection[str] = (),
    rules: Rules = NO_RULES,
) -> "ExpectationSuite":
    """The listings' suite.

    Args:
        now: no listing is from later.
        present: the canonical columns that the source has.
        photos: whether the photos were decoded.
        compared: names of the comparisons with the catalogue that were made.
        rules: what the shop adds.
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
    listing_checks.prices(suite, present)
    suite.not_after(tables.LISTED_AT, now, present)
    listing_checks.texts(suite, present, banned=rules.banned)
    listing_checks.compared(suite, compared)
    if photos and tables.IMAGE_PATH in present:
        listing_checks.photos(suite)
    suite.extend(rules.items)
    return suite.built()


def events(
    *,
    now: datetime,
    present: Collection[str],
    rules: Rules = NO_RULES,
    identified: bool = False,
) -> "ExpectationSuite":
    """The events' suite. See `items` for the arguments.

    Args:
        identified: whether every event is to bring its id.
    """
    suite = Checklist("events")
    suite.line_is_read(tables.USER_ID)
    if identified:
        suite.not_null(
            tables.EVENT_ID, "the event_id is missing; give each event an id that no other has"
        )
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
    if tables.EVENT_TIMESTAMP in present:
        suite.block(
            "event_timestamp_plausible",
            tables.EVENT_TIMESTAMP,
            "event_timestamp is {value}, before 1990; correct the date",
            kind="ExpectMomentsWithin",
            column=tables.EVENT_TIMESTAMP,
            earliest=tables.EARLIEST,
        )
    suite.not_after(tables.RECEIVED_AT, now, present)
    _amounts(suite, present)
    suite.warn(
        "user_rate_human",
        tables.USER_ID,
        f"user {{value}} made {{detail}} clicks within this minute, more than the {log.FASTEST} a "
        "person can make; leave bots out of the log",
        kind="ExpectColumnValuesToHold",
        column=HUMAN,
    )
    suite.extend(rules.events)
    return suite.built()


def embeddings(
    *,
    width: int,
    column: str,
    unit: bool,
    zeros: bool = False,
    encoder_hash: str | None = None,
    compared: bool = False,
) -> "ExpectationSuite":
    """The encoders' output: finite vectors of `width`, not all zero, of unit length if `unit`.

    Args:
        zeros: whether a vector may be all zeros, as one that is added to another may.
        encoder_hash: that of the encoder that every row must come from.
        compared: whether the vectors were compared with the catalogue's.
    """
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
    if zeros:
        del wanted["nonzero"]
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
    if encoder_hash is not None:
        suite.not_null(ENCODER_HASH, "the row does not say its encoder; extract it again")
        suite.block(
            "vector_encoder",
            ENCODER_HASH,
            f"the vector was made by encoder {{value}}, expected {encoder_hash}; extract it again",
            kind="ExpectColumnValuesToBeInSet",
            column=ENCODER_HASH,
            value_set=[encoder_hash],
        )
    if compared:
        suite.warn(
            "vector_near_others",
            tables.ITEM_ID,
            "the vector of {value} is farther from the catalogue than {detail} of the catalogue's "
            "own; look at its photo and text",
            kind="ExpectColumnValuesToHold",
            column=NEAR,
        )
    return suite.built()


def pairs() -> "ExpectationSuite":
    """Listings whose photo and text were compared; a column says whether they agree."""
    suite = Checklist("pairs")
    suite.warn(
        "photo_matches_text",
        tables.ITEM_ID,
        "the photo of {value} does not look like what its text says ({detail} sure); look whether "
        "it is this listing's photo",
        kind="ExpectColumnValuesToHold",
        column=AGREES,
    )
    return suite.built()


def identities(key: str, *, table: str) -> "ExpectationSuite":
    """The suite of what the other checks let through: of several rows of a key the first stays."""
    suite = Checklist(f"{table}_identities")
    suite.block(
        DUPLICATE_ID,
        key,
        f"{key} {{value}} {{detail}}; keep one row per id",
        kind="ExpectColumnValuesToHold",
        column=FIRST,
    )
    return suite.built()


def _amounts(suite: Checklist, present: Collection[str]) -> None:
    ranges: dict[str, tuple[str, dict[str, object], str]] = {
        "quantity_positive": (
            tables.QUANTITY,
            {"lowest": 0.0, "exclusive": True},
            "quantity is {value}; expected more than 0; leave returns out of the log",
        ),
        "quantity_plausible": (
            tables.QUANTITY,
            {"highest": tables.MOST_PIECES},
            f"quantity is {{value}}; expected at most {tables.MOST_PIECES:,.0f}; correct it",
        ),
        "unit_price_not_negative": (
            tables.UNIT_PRICE,
            {"lowest": 0.0},
            "unit_price is {value}, which is negative; leave returns and fees out of the log",
        ),
        "unit_price_plausible": (
            tables.UNIT_PRICE,
            {"highest": tables.HIGHEST_PRICE},
            f"unit_price is {{value}}; expected at most {tables.HIGHEST_PRICE:,.0f}; check the "
            "decimal point",
        ),
        "propensity_in_range": (
            tables.PROPENSITY,
            {"lowest": 0.0, "highest": 1.0, "exclusive": True},
            "propensity is {value}; expected a probability above 0 and up to 1, or nothing",
        ),
    }
    for name, (column, limits, sentence) in ranges.items():
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

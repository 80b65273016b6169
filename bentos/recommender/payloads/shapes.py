"""What the payloads are built of."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_SCORED: Final = 1000
MAX_EVENTS: Final = 1000
MAX_LISTINGS: Final = 1000
"""At most; a service takes as many of them a call as `most_listings` under [serve] says."""
MAX_SESSION: Final = 50
MAX_TOKEN: Final = 60_000
"""Characters of what a list goes on by."""
MAX_CUSTOMERS: Final = 20
"""As many as a listing learns from in the log, too."""
LONGEST_ID: Final = 200
BEGINNING: Final = 40
"""Characters of a name that is too long, that are told of it."""
LONGEST_TEXT: Final = 50_000
"""Characters of a text that the gate is asked about; it warns of a description from 10,000 on."""
LONGEST_PATH: Final = 1000
UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Characters that control rather than show: of C0 and C1, line ends, and turns of direction."""
HIDDEN: Final = re.compile(f"[{UNSEEN}]")
PRINTED: Final = rf"^[^{UNSEEN}]+$"
WIDEST_INTEGER: Final = 2**63
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _is_text(value: Any) -> Any:
    """A number would be taken for seconds since 1970."""
    if isinstance(value, str | datetime | None):
        return value
    raise PydanticCustomError("moment_type", "expected a time as text (ISO 8601)")


def _in_range(value: datetime) -> datetime:
    if FIRST <= (value if value.tzinfo else value.replace(tzinfo=UTC)) < LAST:
        return value
    raise PydanticCustomError("moment_range", "expected a time from 1970 to 2199")


def _sound(value: Any) -> Any:
    """Refuse what JSON or 64 bits cannot hold, texts without end, and names that nobody can read,
    however deep they lie.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "expected a finite number")
    if isinstance(value, int) and not -WIDEST_INTEGER <= value < WIDEST_INTEGER:
        raise PydanticCustomError("wide_integer", "expected a number of at most 64 bits")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise PydanticCustomError("long_text", f"expected at most {LONGEST_TEXT:,} characters")
    if isinstance(value, dict):
        for name, one in value.items():
            _sound_name(name)
            _sound(one)
    elif isinstance(value, list):
        for one in value:
            _sound(one)
    return value


def _sound_name(name: str) -> None:
    """A name is shown beside its value, in one line."""
    if len(name) > LONGEST_ID:
        told = {"length": f"{len(name):,}", "begins": repr(name[:BEGINNING])}
        raise PydanticCustomError(
            "long_name",
            f"expected names of at most {LONGEST_ID} characters, not of {{length}}: "
            "the one that begins with {begins}",
            told,
        )
    if HIDDEN.search(name):
        raise PydanticCustomError(
            "hidden_name",
            "expected names without control characters in them, not {name}",
            {"name": repr(name)},
        )


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=PRINTED)]
Line = Annotated[str, Field(max_length=1000, pattern=rf"^[^{UNSEEN}]*$")]
Count = Annotated[int, Field(ge=1, le=100)]
Moment = Annotated[
    datetime, BeforeValidator(_is_text), Field(strict=False), AfterValidator(_in_range)
]
Loose = Annotated[Any, AfterValidator(_sound)]
"""A value that the gate judges, not the request's schema."""


def shaped(example: dict[str, Any]) -> ConfigDict:
    """Nothing is guessed: no field that is not named, no text for a number, no NaN.

    OpenAPI 3.0, which Bento writes, knows one `example` a schema.
    """
    return ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"example": example}
    )


VERSIONS: Final = {"model": "coldstart-siamese:vj6k3wqzz2", "snapshot": "12"}


def answered(example: dict[str, Any]) -> ConfigDict:
    """A response as it may look."""
    return ConfigDict(json_schema_extra={"example": example})

"""What the payloads are built of."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

MAX_SCORED: Final = 1000
MAX_EVENTS: Final = 1000
MAX_LISTINGS: Final = 100
MAX_SESSION: Final = 50
MAX_TOKEN: Final = 60_000
"""Characters of what a list goes on by."""
MAX_CUSTOMERS: Final = 20
"""As many as a listing learns from in the log, too."""

Id = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=1, le=100)]
Loose = Any
"""A value that the gate judges, not the request's schema."""


def shaped(example: dict[str, Any]) -> ConfigDict:
    """OpenAPI 3.0, which Bento writes, knows one `example` a schema."""
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})

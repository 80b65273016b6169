"""What the client's methods take by keyword: the fields of `payloads` under their own names.

What is not given is not sent, so that the service's own default holds. A list may be any sequence,
and a payload within one a mapping.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from bentos.recommender.payloads import SessionEvent


class Person(TypedDict, total=False):
    """Who asks: a known user, an anonymous session (oldest event first), or both."""

    user_id: str | None
    session: Sequence[SessionEvent | Mapping[str, Any]]
    session_id: str | None


class Ranked(Person, total=False):
    """Whose ranking, and how personal: 0, what sells in general, to 1, the person alone."""

    personal: float | None


class Recommend(Ranked, total=False):
    """Of `payloads.RecommendRequest`."""

    k: int
    pool: Literal["new", "all"]
    category: str | None
    min_price: float | None
    max_price: float | None
    available: bool
    diversity: float
    freshness: float
    after: str | None
    exclude: Sequence[str]
    exclude_seen: bool


class Popular(TypedDict, total=False):
    """Of `payloads.PopularRequest`."""

    k: int
    pool: Literal["new", "all"]


class InPool(Ranked, total=False):
    """Of `payloads.PlaceRequest`, `ScoreRequest` and `ExplainRequest`, beside the listings."""

    pool: Literal["new", "all"]


class Changes(TypedDict, total=False):
    """Of `payloads.ListingChange`, beside the listing. None empties a field; the gate judges."""

    title: Any
    description: Any
    category: Any
    brand: Any
    seller_id: Any
    price: Any
    currency: Any
    attributes: Any
    listed_at: Any
    available: Any
    domain: Any
    photo_path: str | None
    photo_base64: str | None

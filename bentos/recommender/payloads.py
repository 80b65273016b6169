"""What goes over the wire: every request and response of the service, with examples.

A request's own shape (counts, ranges, what must be given) is checked here and answered with
400. What is said **about** a listing or an event is the gate's business, so those fields take
any JSON value: one bad row is quarantined with its reasons and never stops the good ones.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_SCORED: Final = 1000
MAX_EVENTS: Final = 1000
MAX_LISTINGS: Final = 100
MAX_SESSION: Final = 50
EXAMPLE_EVENT: Final = {
    "event_id": "e-1",
    "user_id": "user-1",
    "item_id": "lamp-2",
    "event_type": "click",
    "event_timestamp": "2026-03-01T12:00:00Z",
}
EXAMPLE_LISTING: Final = {
    "item_id": "lamp-9",
    "title": "Arc floor lamp, brass",
    "category": "Home > Lighting > Floor lamps",
    "price": 129.0,
    "currency": "EUR",
    "photo_path": "lamp-9.jpg",
}

Id = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=1, le=100)]
Loose = Any
"""A value that the gate judges, not the request's schema."""


def _model(example: dict[str, Any]) -> ConfigDict:
    """OpenAPI 3.0, which Bento writes, knows one `example` a schema."""
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


class SessionEvent(BaseModel):
    """What an anonymous visitor just did."""

    model_config = _model({"item_id": "sofa-1", "event_type": "click"})

    item_id: Id
    event_type: Literal["click", "cart", "purchase", "rating"] = "click"
    event_timestamp: datetime | None = Field(None, description="now where it is not given")


class Person(BaseModel):
    """Who asks: a known user, an anonymous session (oldest event first), or both."""

    model_config = _model({"user_id": "user-1"})

    user_id: Id | None = None
    session: list[SessionEvent] = Field(default_factory=list, max_length=MAX_SESSION)


class Ranked(Person):
    """Whose ranking, and how personal."""

    personal: float | None = Field(
        None,
        ge=0,
        le=1,
        description="from 0, what sells in general, to 1, the person alone; as learned by default",
    )


class RecommendRequest(Ranked):
    """The k best listings for a person."""

    model_config = _model(
        {"user_id": "user-1", "k": 10, "category": "Home > Seating", "max_price": 300}
    )

    k: Count = 10
    pool: Literal["new", "all"] = Field("new", description="new listings only, or every listing")
    category: str | None = Field(None, description="a category path's beginning")
    max_price: float | None = Field(None, gt=0)
    exclude: list[Id] = Field(default_factory=list, max_length=MAX_SCORED)
    exclude_seen: bool = Field(True, description="leave out what the history holds")
    session_id: Id | None = Field(
        None, description="of the visit, as its events name it; experiments tell visitors by it"
    )


class RecommendedItem(BaseModel):
    item_id: str
    score: float
    is_new: bool
    support: int = Field(description="distinct people who chose it so far")
    deviation: float | None = Field(
        None, description="how unsure the score is, in its own units; unset where not personal"
    )
    reason: str
    propensity: float = Field(
        1.0, description="with which the place went to it, given those above; 1 if not drawn"
    )
    explored: bool = Field(False, description="whether the place was given by exploration")
    title: str | None = None
    category: str | None = None
    price: float | None = None
    currency: str | None = None
    photo: str | None = Field(None, description="path of the photo on this server")


class RecommendResponse(BaseModel):
    items: list[RecommendedItem]
    fallback: Literal["popular"] | None = Field(
        None, description="set where the person has no history, so that nothing is personal"
    )
    page_id: str | None = Field(None, description="of this page in the log, where pages are kept")
    variant: str | None = Field(None, description="of the experiment, if the person takes part")
    model: str
    snapshot: str


class ScoreRequest(Ranked):
    """A person's score of each of up to 1,000 items."""

    model_config = _model({"user_id": "user-1", "item_ids": ["sofa-1", "lamp-2"]})

    item_ids: list[Id] = Field(min_length=1, max_length=MAX_SCORED)


class ItemScore(BaseModel):
    item_id: str
    score: float


class ScoreResponse(BaseModel):
    scores: list[ItemScore] = Field(description="in the order asked")
    model: str
    snapshot: str


class ExplainRequest(Ranked):
    """Why a person's score of one item is what it is."""

    model_config = _model({"user_id": "user-1", "item_id": "lamp-2"})

    item_id: Id


class ContributionPart(BaseModel):
    history_item_id: str | None = Field(description="null where no history item is behind it")
    term: str
    value: float


class ExplainResponse(BaseModel):
    item_id: str
    score: float
    contributions: list[ContributionPart] = Field(description="their values sum to the score")
    sentence: str
    model: str
    snapshot: str


class SimilarRequest(BaseModel):
    """Listings like one listing."""

    model_config = _model({"item_id": "sofa-1", "k": 10})

    item_id: Id
    k: Count = 10


class SimilarResponse(BaseModel):
    items: list[ItemScore]
    model: str
    snapshot: str


class PopularRequest(BaseModel):
    """What a person without any history is shown."""

    model_config = _model({"k": 10, "pool": "new"})

    k: Count = 10
    pool: Literal["new", "all"] = "new"


class Event(BaseModel):
    """One event as it came; the gate judges its values."""

    model_config = _model(EXAMPLE_EVENT)

    event_id: Loose = Field(description="unique; the same id again changes nothing")
    user_id: Loose = None
    item_id: Loose = None
    event_type: Loose = Field(None, description="impression, click, cart, purchase or rating")
    event_timestamp: Loose = Field(None, description="ISO 8601; now where it is not given")
    quantity: Loose = None
    unit_price: Loose = None
    value: Loose = None
    session_id: Loose = None
    propensity: Loose = None
    variant: Loose = None


class EventsRequest(BaseModel):
    """A batch of events. Sending it twice is harmless."""

    model_config = _model({"events": [EXAMPLE_EVENT]})

    events: list[Event] = Field(min_length=1, max_length=MAX_EVENTS)


class Rejected(BaseModel):
    id: str | None
    reasons: list[str]


class EventsResponse(BaseModel):
    accepted: list[str] = Field(description="event ids that were new")
    duplicates: list[str] = Field(description="event ids known before; nothing was changed")
    quarantined: list[Rejected]
    users: int = Field(description="users whose features were pushed")
    adapted: list[str] = Field(description="new listings that learned from these events")


class Listing(BaseModel):
    """One new listing as it came; the gate judges its values."""

    model_config = _model(EXAMPLE_LISTING)

    item_id: Loose
    title: Loose = None
    description: Loose = None
    category: Loose = None
    brand: Loose = None
    seller_id: Loose = None
    price: Loose = None
    currency: Loose = None
    attributes: Loose = Field(None, description="a JSON object of names to values")
    listed_at: Loose = Field(None, description="ISO 8601; now where it is not given")
    available: Loose = None
    domain: Loose = None
    photo_path: str | None = Field(
        None, description="a file under the allowed photo folders of the server"
    )
    photo_base64: str | None = Field(None, description="or the photo itself")


class ListingsRequest(BaseModel):
    """New listings; those accepted are recommendable when the call returns."""

    model_config = _model({"listings": [EXAMPLE_LISTING]})

    listings: list[Listing] = Field(min_length=1, max_length=MAX_LISTINGS)


class ListingsResponse(BaseModel):
    accepted: list[str]
    quarantined: list[Rejected]
    warnings: list[Rejected] = Field(description="accepted listings with something to mend")
    model: str
    snapshot: str


class StatusResponse(BaseModel):
    model: str
    snapshot: str
    trained_at: datetime
    feature_service: str
    items: int = Field(description="listings of the catalogue")
    online_store: Literal["ready", "missing"]
    registry: Literal["ready", "missing"]

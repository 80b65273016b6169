"""Events and listings that are told to the service."""

from typing import Annotated, Final

from pydantic import BaseModel, Field

from bentos.recommender.payloads.asking import SessionEvent
from bentos.recommender.payloads.shapes import (
    LONGEST_PATH,
    MAX_CUSTOMERS,
    MAX_EVENTS,
    MAX_LISTINGS,
    MAX_SESSION,
    VERSIONS,
    Id,
    Loose,
    Moment,
    answered,
    shaped,
)

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


UNKNOWN: Final = (
    "Row 1: item 'lamp-x' is not in the catalogue; ingest its listing first (it may be in "
    "quarantine), then ingest these events again."
)
REASON: Final = (
    "Row 1: price is 'n/a'; expected a number; give a price such as 12.50, or leave it empty."
)
PhotoPath = Annotated[str, Field(max_length=LONGEST_PATH)]


class Event(BaseModel):
    """One event as it came; the gate judges its values."""

    model_config = shaped(EXAMPLE_EVENT)

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

    model_config = shaped({"events": [EXAMPLE_EVENT]})

    events: list[Event] = Field(min_length=1, max_length=MAX_EVENTS)


class Rejected(BaseModel):
    id: str | None
    reasons: list[str]


class EventsResponse(BaseModel):
    model_config = answered(
        {
            "accepted": ["e-1"],
            "duplicates": ["e-0"],
            "quarantined": [{"id": "e-2", "reasons": [UNKNOWN]}],
            "refused": [],
            "users": 1,
            "adapted": ["lamp-2"],
            "deferred": False,
        }
    )

    accepted: list[str] = Field(description="event ids that were new")
    duplicates: list[str] = Field(description="event ids known before; nothing was changed")
    quarantined: list[Rejected]
    refused: list[str] = Field(
        default_factory=list,
        description="event ids of erased people, from before their erasure; kept nowhere",
    )
    users: int = Field(description="users whose features were pushed")
    adapted: list[str] = Field(description="new listings that learned from these events")
    deferred: bool = Field(
        False,
        description="the events are in the log for good; their features follow as soon as the "
        "online store, which did not take them, does",
    )


class Listing(BaseModel):
    """One new listing as it came; the gate judges its values."""

    model_config = shaped(EXAMPLE_LISTING)

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
    photo_path: PhotoPath | None = Field(
        None, description="a file under the allowed photo folders of the server"
    )
    photo_base64: str | None = Field(None, description="or the photo itself")


class ListingsRequest(BaseModel):
    """New listings; those accepted are recommendable when the call returns."""

    model_config = shaped({"listings": [EXAMPLE_LISTING]})

    listings: list[Listing] = Field(min_length=1, max_length=MAX_LISTINGS)


class ListingsResponse(BaseModel):
    model_config = answered(
        {
            "accepted": ["lamp-9"],
            "quarantined": [{"id": "lamp-10", "reasons": [REASON]}],
            "warnings": [],
            **VERSIONS,
        }
    )

    accepted: list[str]
    quarantined: list[Rejected]
    warnings: list[Rejected] = Field(description="accepted listings with something to mend")
    model: str
    snapshot: str


class ListingChange(BaseModel):
    """What changes of a listing; what is not given stays. The gate judges the result."""

    model_config = shaped({"item_id": "lamp-9", "price": 99.0, "available": False})

    item_id: Id
    title: Loose = None
    description: Loose = None
    category: Loose = None
    brand: Loose = None
    seller_id: Loose = None
    price: Loose = None
    currency: Loose = None
    attributes: Loose = None
    listed_at: Loose = None
    available: Loose = None
    domain: Loose = None
    photo_path: PhotoPath | None = Field(None, description="as of a new listing")
    photo_base64: str | None = None


class UpdateListingsRequest(BaseModel):
    """Changes of listings that are in the catalogue. A field that is given as null is emptied."""

    model_config = shaped({"listings": [{"item_id": "lamp-9", "price": 99.0, "available": False}]})

    listings: list[ListingChange] = Field(min_length=1, max_length=MAX_LISTINGS)


class DeleteListingsRequest(BaseModel):
    """Listings that are to go. Asking again is harmless."""

    model_config = shaped({"item_ids": ["lamp-9"]})

    item_ids: list[Id] = Field(min_length=1, max_length=MAX_LISTINGS)


class DeleteListingsResponse(BaseModel):
    model_config = answered(
        {
            "deleted": ["lamp-9"],
            "unknown": [],
            "rows": {"item_profile": 1, "item_vector": 1},
            **VERSIONS,
        }
    )

    deleted: list[str]
    unknown: list[str] = Field(description="ids that the catalogue does not have")
    rows: dict[str, int] = Field(description="offline feature table → rows that went")
    model: str
    snapshot: str


class Customer(BaseModel):
    """Somebody who chose the listing, by what they had chosen before; no id is asked for."""

    model_config = shaped({"history": [{"item_id": "sofa-1", "event_type": "purchase"}]})

    history: list[SessionEvent] = Field(max_length=MAX_SESSION, description="oldest first")
    chosen_at: Moment | None = Field(None, description="now where it is not given")


class AdaptRequest(BaseModel):
    """A few shots: let a listing learn from customers that are given, not from the log.

    Its next event that is taken in lets it learn from the log again.
    """

    model_config = shaped(
        {
            "item_id": "lamp-9",
            "customers": [{"history": [{"item_id": "sofa-1", "event_type": "purchase"}]}],
        }
    )

    item_id: Id
    customers: list[Customer] = Field(min_length=1, max_length=MAX_CUSTOMERS)


class AdaptResponse(BaseModel):
    model_config = answered({"item_id": "lamp-9", "support": 1, **VERSIONS})

    item_id: str
    support: int = Field(description="customers it has learned from")
    model: str
    snapshot: str

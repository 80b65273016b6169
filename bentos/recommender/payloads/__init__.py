"""What goes over the wire: every request and response of the service, with examples.

A request's own shape (counts, ranges, what must be given) is checked here and answered with
400. What is said **about** a listing or an event is the gate's business, so those fields take
any JSON value: one bad row is quarantined with its reasons and never stops the good ones.
"""

from bentos.recommender.payloads.asking import (
    ContributionPart,
    ExplainRequest,
    ExplainResponse,
    ItemScore,
    Person,
    PopularRequest,
    Ranked,
    RecommendedItem,
    RecommendRequest,
    RecommendResponse,
    ScoreRequest,
    ScoreResponse,
    SessionEvent,
    SimilarRequest,
    SimilarResponse,
    StatusResponse,
)
from bentos.recommender.payloads.people import (
    EraseUserRequest,
    EraseUserResponse,
)
from bentos.recommender.payloads.taking import (
    AdaptRequest,
    AdaptResponse,
    Customer,
    DeleteListingsRequest,
    DeleteListingsResponse,
    Event,
    EventsRequest,
    EventsResponse,
    Listing,
    ListingChange,
    ListingsRequest,
    ListingsResponse,
    Rejected,
    UpdateListingsRequest,
)

__all__ = [
    "AdaptRequest",
    "AdaptResponse",
    "ContributionPart",
    "Customer",
    "DeleteListingsRequest",
    "DeleteListingsResponse",
    "EraseUserRequest",
    "EraseUserResponse",
    "Event",
    "EventsRequest",
    "EventsResponse",
    "ExplainRequest",
    "ExplainResponse",
    "ItemScore",
    "Listing",
    "ListingChange",
    "ListingsRequest",
    "ListingsResponse",
    "Person",
    "PopularRequest",
    "Ranked",
    "RecommendRequest",
    "RecommendResponse",
    "RecommendedItem",
    "Rejected",
    "ScoreRequest",
    "ScoreResponse",
    "SessionEvent",
    "SimilarRequest",
    "SimilarResponse",
    "StatusResponse",
    "UpdateListingsRequest",
]

"""Requests and responses about people and listings."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from bentos.recommender.payloads.shapes import (
    MAX_SCORED,
    MAX_SESSION,
    MAX_TOKEN,
    VERSIONS,
    Count,
    Id,
    Line,
    Moment,
    answered,
    shaped,
)

Fallback = Literal["popular", "store"]
NOT_PERSONAL = (
    "`popular` where no listing of the history is served, so that the popularity that is expected "
    "alone counts; `store` where the online store did not answer in time, so that the session "
    "alone does"
)
AS_RANKED = (
    "`all` for the score by which `recommend` ranks every listing in one list, where first "
    "customers change which new listing has which place, and known items keep theirs"
)
UNSURE = "how unsure the score is, in its own units"
REASON: Final = "Arc floor lamp, brass: because of “Linen sofa”, which looks alike."


class SessionEvent(BaseModel):
    """What an anonymous visitor just did."""

    model_config = shaped({"item_id": "sofa-1", "event_type": "click"})

    item_id: Id
    event_type: Literal["click", "cart", "purchase", "rating"] = "click"
    event_timestamp: Moment | None = Field(None, description="now where it is not given")


class Person(BaseModel):
    """Who asks: a known user, an anonymous session (oldest event first), or both."""

    model_config = shaped({"user_id": "user-1"})

    user_id: Id | None = None
    session: list[SessionEvent] = Field(default_factory=list, max_length=MAX_SESSION)
    session_id: Id | None = Field(
        None, description="of the visit, as its events name it; experiments tell visitors by it"
    )


class Ranked(Person):
    """Whose ranking, and how personal: as the person's variant says where an experiment runs."""

    personal: float | None = Field(
        None,
        ge=0,
        le=1,
        description="from 0, what sells in general, to 1, the person alone; by default as learned, "
        "or as the person's variant says",
    )


class RecommendRequest(Ranked):
    """The k best listings for a person."""

    model_config = shaped(
        {
            "user_id": "user-1",
            "k": 10,
            "category": "Home > Seating",
            "max_price": 300,
            "diversity": 0.3,
        }
    )

    k: Count = 10
    pool: Literal["new", "all"] = Field("new", description="new listings only, or every listing")
    category: Line | None = Field(None, description="a category path's beginning")
    min_price: float | None = Field(None, ge=0, description="leaves out what has no price")
    max_price: float | None = Field(None, gt=0, description="what has no price stays")
    available: bool = Field(True, description="leave out what cannot be bought now")
    diversity: float = Field(
        0.0, ge=0, le=1, description="0: the best first; to 1: places go to what is less alike"
    )
    freshness: float = Field(0.0, ge=0, le=1, description="how much sooner newer listings come")
    after: str | None = Field(
        None,
        max_length=MAX_TOKEN,
        description="`next` of the page before, sent with the same request: the list goes on and "
        "shows nothing twice, whatever was pushed meanwhile",
    )
    exclude: list[Id] = Field(default_factory=list, max_length=MAX_SCORED)
    exclude_seen: bool = Field(True, description="leave out what the history holds")


class RecommendedItem(BaseModel):
    item_id: str
    score: float
    is_new: bool
    support: int = Field(description="distinct people who chose it so far")
    deviation: float | None = Field(None, description=UNSURE)
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
    """The listings, best first unless asked for otherwise."""

    model_config = answered(
        {
            "items": [
                {
                    "item_id": "lamp-2",
                    "score": 2.31,
                    "is_new": True,
                    "support": 3,
                    "deviation": 0.42,
                    "reason": REASON,
                    "title": "Arc floor lamp, brass",
                    "category": "Home > Lighting > Floor lamps",
                    "price": 129.0,
                    "currency": "EUR",
                    "photo": "photos/lamp-2",
                }
            ],
            "fallback": None,
            "next": None,
            **VERSIONS,
        }
    )

    items: list[RecommendedItem]
    fallback: Fallback | None = Field(
        None,
        description="`popular` where the person has no history, or one of which no listing is "
        "served, so that nothing is personal; "
        "`store` where the online store did not answer in time: only the session counts, or "
        "what is popular",
    )
    next: str | None = Field(
        None, description="send it as `after` for the next page; unset where the list ends"
    )
    page_id: str | None = Field(None, description="of this page in the log, where pages are kept")
    variant: str | None = Field(None, description="of the experiment, if the person takes part")
    model: str
    snapshot: str


class ScoreRequest(Ranked):
    """A person's score of each of up to 1,000 items."""

    model_config = shaped({"user_id": "user-1", "item_ids": ["sofa-1", "lamp-2"]})

    item_ids: list[Id] = Field(min_length=1, max_length=MAX_SCORED)
    pool: Literal["new", "all"] = Field("new", description=AS_RANKED)


class ItemScore(BaseModel):
    item_id: str
    score: float


class UnsureScore(ItemScore):
    deviation: float = Field(description=UNSURE)


class ScoreResponse(BaseModel):
    model_config = answered(
        {
            "scores": [
                {"item_id": "sofa-1", "score": 1.7, "deviation": 0.38},
                {"item_id": "lamp-2", "score": 2.31, "deviation": 0.42},
            ],
            "fallback": None,
            **VERSIONS,
        }
    )

    scores: list[UnsureScore] = Field(description="in the order asked")
    fallback: Fallback | None = Field(None, description=NOT_PERSONAL)
    model: str
    snapshot: str


class ExplainRequest(Ranked):
    """Why a person's score of one item is what it is."""

    model_config = shaped({"user_id": "user-1", "item_id": "lamp-2"})

    item_id: Id
    pool: Literal["new", "all"] = Field("new", description=AS_RANKED)


class ContributionPart(BaseModel):
    history_item_id: str | None = Field(description="null where no history item is behind it")
    term: str
    value: float


class ExplainResponse(BaseModel):
    model_config = answered(
        {
            "item_id": "lamp-2",
            "score": 2.5,
            "deviation": 0.42,
            "contributions": [
                {"history_item_id": None, "term": "popularity", "value": 0.5},
                {"history_item_id": "sofa-1", "term": "photo", "value": 1.25},
                {"history_item_id": "sofa-1", "term": "text", "value": 0.75},
            ],
            "sentence": REASON,
            "fallback": None,
            **VERSIONS,
        }
    )

    item_id: str
    score: float
    deviation: float = Field(description=UNSURE)
    contributions: list[ContributionPart] = Field(description="their values sum to the score")
    sentence: str
    fallback: Fallback | None = Field(None, description=NOT_PERSONAL)
    model: str
    snapshot: str


class SimilarRequest(BaseModel):
    """Listings like one listing."""

    model_config = shaped({"item_id": "sofa-1", "k": 10})

    item_id: Id
    k: Count = 10


class SimilarResponse(BaseModel):
    model_config = answered({"items": [{"item_id": "sofa-7", "score": 0.83}], **VERSIONS})

    items: list[ItemScore]
    model: str
    snapshot: str


class PopularRequest(BaseModel):
    """What a person without any history is shown."""

    model_config = shaped({"k": 10, "pool": "new"})

    k: Count = 10
    pool: Literal["new", "all"] = "new"

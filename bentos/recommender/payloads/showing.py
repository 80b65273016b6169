"""What the storefront page asks for beside recommendations."""

from typing import Literal

from pydantic import BaseModel, Field

from bentos.recommender.payloads.asking import Ranked
from bentos.recommender.payloads.shapes import VERSIONS, Id, answered, shaped


class ShowcaseRequest(BaseModel):
    """Some listings to look around in, spread over the categories."""

    model_config = shaped({"k": 12, "start": 0})

    k: int = Field(12, ge=1, le=100)
    start: int = Field(0, ge=0, description="listings to pass over: the ones after these")


class ShownListing(BaseModel):
    item_id: str
    title: str | None = None
    category: str | None = None
    price: float | None = None
    currency: str | None = None
    photo: str | None = Field(None, description="path of the photo on this server")


class ShowcaseResponse(BaseModel):
    model_config = answered(
        {
            "listings": [
                {
                    "item_id": "lamp-2",
                    "title": "Arc floor lamp, brass",
                    "category": "Home > Lighting > Floor lamps",
                    "price": 129.0,
                    "currency": "EUR",
                    "photo": "photos/lamp-2",
                }
            ],
            "user_ids": ["user-1"],
            "categories": ["Home > Lighting > Floor lamps"],
            "currency": "EUR",
        }
    )

    listings: list[ShownListing]
    user_ids: list[str] = Field(description="some known people, those with most events first")
    categories: list[str] = Field(description="category paths, the largest first")
    currency: str | None = Field(description="in which most listings are priced")


class PlaceRequest(Ranked):
    """Where one listing stands for a person."""

    model_config = shaped({"user_id": "user-1", "item_id": "lamp-9"})

    item_id: Id
    pool: Literal["new", "all"] = "new"


class PlaceResponse(BaseModel):
    model_config = answered(
        {
            "item_id": "lamp-9",
            "place": 4,
            "among": 202,
            "support": 3,
            "personal": True,
            **VERSIONS,
        }
    )

    item_id: str
    place: int = Field(description="from 1, in what `recommend` chooses from, best first")
    among: int = Field(description="listings that it chooses from")
    support: int = Field(description="distinct people who chose it, as far as it learned from them")
    personal: bool = Field(
        description="false where the person has no history, or one of which no listing is served"
    )
    model: str
    snapshot: str

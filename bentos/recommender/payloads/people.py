"""Erasing a person."""

from pydantic import BaseModel, Field

from bentos.recommender.payloads.shapes import Id, shaped


class EraseUserRequest(BaseModel):
    """Whom to erase. Asking again is harmless."""

    model_config = shaped({"user_id": "user-1"})

    user_id: Id


class EraseUserResponse(BaseModel):
    """The receipt: what was erased where. Of the person it holds a salted hash alone."""

    user_hash: str = Field(description="HMAC-SHA256 of the id under the server's secret salt")
    erased_at: str = Field(description="events up to then are refused from here on")
    erased: dict[str, int] = Field(description="place → rows, lines or files that went")
    computed_again: dict[str, int] = Field(description="feature table → rows computed without them")
    items: int = Field(description="items of the person's events")
    adapted_again: int = Field(description="listings that had learned from them, and learned anew")
    finished_earlier: bool = Field(description="whether an erasure that was killed was finished")
    seconds: float

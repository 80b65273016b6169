"""Erasing a person."""

from pydantic import BaseModel, Field

from bentos.recommender.payloads.shapes import Id, answered, shaped


class EraseUserRequest(BaseModel):
    """Whom to erase. Asking again is harmless."""

    model_config = shaped({"user_id": "user-1"})

    user_id: Id


class EraseUserResponse(BaseModel):
    """The receipt: what was erased where. Of the person it holds a salted hash alone."""

    model_config = answered(
        {
            "user_hash": "5f2d9c1e8a7b40364c0de1f2a3b4958607162534a5b6c7d8e9f0011223344556",
            "erased_at": "2026-03-01T12:00:00+00:00",
            "erased": {"events": 41, "user_history": 1, "served_requests": 7, "quarantine": 0},
            "computed_again": {"item_stats": 23},
            "items": 23,
            "adapted_again": 2,
            "left_online": [],
            "finished_earlier": False,
            "seconds": 0.4,
        }
    )

    user_hash: str = Field(description="HMAC-SHA256 of the id under the server's secret salt")
    erased_at: str = Field(description="events up to then are refused from here on")
    erased: dict[str, int] = Field(description="place → rows, lines or files that went")
    computed_again: dict[str, int] = Field(description="feature table → rows computed without them")
    items: int = Field(description="items of the person's events")
    adapted_again: int = Field(description="listings that had learned from them, and learned anew")
    left_online: list[str] = Field(
        default=[],
        description="files of the online store that still hold deleted values, and until when",
    )
    finished_earlier: bool = Field(description="whether an erasure that was killed was finished")
    seconds: float

"""What tests of two services over one shop ask of either."""

from typing import Any

from bentos.recommender import payloads


def shown(service: Any) -> list[str]:
    """The ten best for a stranger, by id."""
    answer = service.recommend(payloads.RecommendRequest.model_validate({"k": 10}))
    return sorted(item.item_id for item in answer.items)


def added(service: Any, *item_ids: str, **columns: Any) -> None:
    """Have it take in wool things, all of which it must accept."""
    listings = [{"item_id": one, "title": f"Wool {one}", **columns} for one in item_ids]
    told = service.listings(payloads.ListingsRequest.model_validate({"listings": listings}))
    assert told.accepted == sorted(item_ids)

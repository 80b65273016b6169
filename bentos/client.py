"""A typed client of the service: one method an operation, the service's own payloads.

    with Client("http://localhost:3000", api_key=key) as client:
        page = client.recommend(user_id="u42", k=10)
        for item in page.items:
            print(item.item_id, item.reason)

Of this project it needs the payloads alone: no torch, no Feast, no model.

    ClientError
    ├── Refused       the service says why: what was sent is wrong (400, 413, 415)
    ├── NotAllowed    no API key, or one that may not do this (401, 403)
    ├── NotThere      it knows no such person or listing (404)
    └── Unavailable   it does not answer, cannot now, or is asked too often (429, 5xx)
"""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

import httpx
from pydantic import BaseModel, ValidationError

from bentos import keywords
from bentos.recommender import payloads

Answer = TypeVar("Answer", bound=BaseModel)
TIMEOUT: Final = 60.0
"""Seconds; the service's own."""


class ClientError(Exception):
    """What was asked was not done."""


class Refused(ClientError):  # noqa: N818 - reads as the fact it states
    """What was sent is wrong."""


class NotAllowed(ClientError):  # noqa: N818
    """No API key was sent, or one that may not do this."""


class NotThere(ClientError):  # noqa: N818
    """The service knows no such person or listing."""


class Unavailable(ClientError):  # noqa: N818
    """The service does not answer, or cannot now; later it may."""


class Client:
    """The operations of one service. Safe to share between threads; close it at the end."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: where the service is, such as ``http://localhost:3000``.
            api_key: as `coldstart keys new` printed it; none for a service that is open.
            timeout: seconds for one answer.
            headers: sent with every request, such as a proxy's authorization.
            transport: how requests travel, for tests and retries.
        """
        sent = dict(headers or {})
        if api_key is not None:
            sent["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(base_url=url, timeout=timeout, headers=sent, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def recommend(self, **asked: Unpack[keywords.Recommend]) -> payloads.RecommendResponse:
        """The k best listings; the fields of `payloads.RecommendRequest` by name."""
        return self._ask(
            "recommend", _shaped(payloads.RecommendRequest, asked), payloads.RecommendResponse
        )

    def pages(self, **asked: Unpack[keywords.Recommend]) -> Iterator[payloads.RecommendResponse]:
        """Page after page of `recommend` until the list ends; nothing comes twice."""
        page = self.recommend(**asked)
        yield page
        while page.next is not None:
            following: keywords.Recommend = {**asked, "after": page.next}
            page = self.recommend(**following)
            if not page.items:
                return
            yield page

    def score(
        self, item_ids: Sequence[str], **person: Unpack[keywords.InPool]
    ) -> payloads.ScoreResponse:
        """A person's score of each of up to 1,000 items, in order."""
        asked = {**person, "item_ids": list(item_ids)}
        return self._ask("score", _shaped(payloads.ScoreRequest, asked), payloads.ScoreResponse)

    def explain(self, item_id: str, **person: Unpack[keywords.InPool]) -> payloads.ExplainResponse:
        """The parts a score is the sum of, and a sentence."""
        asked = {**person, "item_id": item_id}
        return self._ask(
            "explain", _shaped(payloads.ExplainRequest, asked), payloads.ExplainResponse
        )

    def similar(self, item_id: str, *, k: int = 10) -> payloads.SimilarResponse:
        """Listings most like one listing."""
        asked = {"item_id": item_id, "k": k}
        return self._ask(
            "similar", _shaped(payloads.SimilarRequest, asked), payloads.SimilarResponse
        )

    def popular(self, **asked: Unpack[keywords.Popular]) -> payloads.RecommendResponse:
        """What somebody without any history is shown; `k` and `pool`."""
        return self._ask(
            "popular", _shaped(payloads.PopularRequest, asked), payloads.RecommendResponse
        )

    def events(
        self, events: Sequence[payloads.Event | Mapping[str, Any]]
    ) -> payloads.EventsResponse:
        """Send a batch of events. Sending it again is harmless."""
        asked = {"events": list(events)}
        return self._ask("events", _shaped(payloads.EventsRequest, asked), payloads.EventsResponse)

    def add_listings(
        self, listings: Sequence[payloads.Listing | Mapping[str, Any]]
    ) -> payloads.ListingsResponse:
        """Send new listings, 100 at once or as many as `most_listings` of the service says; those
        accepted are recommendable when this returns.
        """
        asked = {"listings": list(listings)}
        return self._ask(
            "listings", _shaped(payloads.ListingsRequest, asked), payloads.ListingsResponse
        )

    def update_listing(
        self, item_id: str, **changes: Unpack[keywords.Changes]
    ) -> payloads.ListingsResponse:
        """Change fields of a listing; None empties one."""
        change = _shaped(payloads.ListingChange, {**changes, "item_id": item_id})
        asked = payloads.UpdateListingsRequest(listings=[change])
        return self._ask("listings/update", asked, payloads.ListingsResponse)

    def update_listings(
        self, listings: Sequence[payloads.ListingChange | Mapping[str, Any]]
    ) -> payloads.ListingsResponse:
        """Change listings, as many at once as may be added; of each, what is given. None empties a
        field.
        """
        asked = {"listings": list(listings)}
        return self._ask(
            "listings/update",
            _shaped(payloads.UpdateListingsRequest, asked),
            payloads.ListingsResponse,
        )

    def delete_listings(self, item_ids: Sequence[str]) -> payloads.DeleteListingsResponse:
        """Delete listings, as many at once as may be added; events on them stay."""
        asked = _shaped(payloads.DeleteListingsRequest, {"item_ids": list(item_ids)})
        return self._ask("listings/delete", asked, payloads.DeleteListingsResponse)

    def adapt(
        self, item_id: str, customers: Sequence[payloads.Customer | Mapping[str, Any]]
    ) -> payloads.AdaptResponse:
        """Let a listing learn from a few given customers."""
        asked = _shaped(payloads.AdaptRequest, {"item_id": item_id, "customers": list(customers)})
        return self._ask("adapt", asked, payloads.AdaptResponse)

    def erase_user(self, user_id: str) -> payloads.EraseUserResponse:
        """Erase a person everywhere; the receipt."""
        asked = _shaped(payloads.EraseUserRequest, {"user_id": user_id})
        return self._ask("users/erase", asked, payloads.EraseUserResponse)

    def showcase(self, *, k: int = 12, start: int = 0) -> payloads.ShowcaseResponse:
        """Listings to look around in, spread over the categories, and people to try."""
        asked = _shaped(payloads.ShowcaseRequest, {"k": k, "start": start})
        return self._ask("showcase", asked, payloads.ShowcaseResponse)

    def place(self, item_id: str, **person: Unpack[keywords.InPool]) -> payloads.PlaceResponse:
        """Where a listing stands for a person; the fields of `payloads.PlaceRequest` by name."""
        asked = {**person, "item_id": item_id}
        return self._ask("place", _shaped(payloads.PlaceRequest, asked), payloads.PlaceResponse)

    def operations(self) -> payloads.OperationsResponse:
        """How gate, features, catalogue and experiments are."""
        return self._ask("operations", None, payloads.OperationsResponse)

    def status(self) -> payloads.StatusResponse:
        """Which model and snapshot answer."""
        return self._ask("status", None, payloads.StatusResponse)

    def _ask(self, path: str, asked: BaseModel | None, shape: type[Answer]) -> Answer:
        body = {} if asked is None else asked.model_dump(mode="json", exclude_unset=True)
        try:
            answer = self._http.post(f"/{path}", json=body)
        except httpx.TransportError as error:
            raise Unavailable(f"{self._http.base_url} does not answer: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise _error(path, answer)
        try:
            return shape.model_validate_json(answer.content)
        except ValidationError as error:
            raise ClientError(
                f"{path} answered what this version does not know; use the client of the "
                f"service's version: {error}"
            ) from error


def _shaped(shape: type[Answer], asked: Mapping[str, Any]) -> Answer:
    """The payload, checked before it is sent. Raises Refused."""
    given = {name: _listed(value) for name, value in asked.items()}
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        raise Refused(str(error)) from error


def _listed(value: Any) -> Any:
    """Any sequence as a list, which is all that a payload takes."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _error(path: str, answer: httpx.Response) -> ClientError:
    kinds = {
        **dict.fromkeys((400, 413, 415), Refused),
        **dict.fromkeys((401, 403), NotAllowed),
        404: NotThere,
        429: Unavailable,
    }
    kind = kinds.get(answer.status_code, Unavailable if answer.status_code >= 500 else ClientError)
    return kind(f"{path} answered {answer.status_code}: {_told(answer)}")


def _told(answer: httpx.Response) -> str:
    """The reason."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500]
    return str(body.get("error", body) if isinstance(body, dict) else body)

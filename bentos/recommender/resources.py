"""The other verbs: `DELETE /users`, and `DELETE` and `PATCH /listings/ID` of one listing.

They do what the endpoints of the same names do; Bento's own routes know POST alone.
"""

from collections.abc import Callable
from typing import Any, Final

import bentoml
from bentoml.exceptions import BentoMLException
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bentos.recommender import payloads
from bentos.recommender.state import logger


async def erase_user(request: Request) -> Response:
    """As `users/erase`. The id is in the body: an address is kept in metrics and access logs."""
    given = await _object(request)
    if isinstance(given, Response):
        return given
    return await _answered(
        "forget_user", payloads.EraseUserRequest, given, lambda told: told.user_id
    )


async def delete_listing(request: Request) -> Response:
    """As `listings/delete`, of one."""
    asked = {"item_ids": [request.path_params["item_id"]]}
    return await _answered("remove_listings", payloads.DeleteListingsRequest, asked)


async def update_listing(request: Request) -> Response:
    """As `listings/update`, of one; the body holds the fields that change."""
    given = await _object(request)
    if isinstance(given, Response):
        return given
    asked = {"listings": [{**given, "item_id": request.path_params["item_id"]}]}
    return await _answered("change_listings", payloads.UpdateListingsRequest, asked)


async def _object(request: Request) -> dict[str, Any] | Response:
    """The body's JSON object, or why it is none."""
    try:
        given = from_json(await request.body(), allow_inf_nan=False)
    except ValueError as error:
        return _refused(f"the body is not JSON: {error}", 400)
    return given if isinstance(given, dict) else _refused("the body is not a JSON object", 400)


async def _answered(
    name: str,
    shape: type[BaseModel],
    asked: dict[str, Any],
    given: Callable[[Any], object] = lambda told: told,
) -> Response:
    """What a method of the service answers, or why not."""
    try:
        told = shape.model_validate(asked)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)
        return JSONResponse({"error": error.title, "detail": detail}, status_code=400)
    method = getattr(bentoml.get_current_service(), name)
    try:
        answer: BaseModel = await run_in_threadpool(method, given(told))
    except BentoMLException as error:
        status = int(error.error_code)
        if status >= 500:
            logger.error("%s: %s", name, error)
            return _refused("the service cannot do this now; its log tells why", status)
        return _refused(str(error), status)
    return JSONResponse(answer.model_dump(mode="json"))


def _refused(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status_code=status)


routes: Final = (
    Route("/users", erase_user, methods=["DELETE"]),
    Route("/listings/{item_id:path}", delete_listing, methods=["DELETE"]),
    Route("/listings/{item_id:path}", update_listing, methods=["PATCH"]),
)

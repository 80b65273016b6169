"""What the service says of itself: Bento's OpenAPI document, completed.

Bento knows neither our keys, nor the other verbs, nor that a field may be null, and tells only of
three errors. Refusals have one shape here, `Problem`, as `guarding.answers` makes it.
"""

import copy
import json
from typing import Any, Final

from bentos.recommender.guarding import places
from bentos.recommender.guarding.access import scope_of
from bentos.recommender.observing.access import PROBES

SCHEME: Final = "apiKey"
PATCH: Final = "ListingPatch"
PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "what is wrong, with the field's name"},
        "detail": {
            "type": "array",
            "description": "the wrong fields of a request",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
        "request_id": {"type": "string", "description": "under which the log tells more"},
    },
}
REFUSALS: Final = {
    "400": "What was sent is wrong; `error` names the field.",
    "404": "The service knows no such person or listing.",
    "413": "The body is too long.",
    "415": "The body is not JSON.",
    "500": "The service failed; its log tells why.",
    "503": "The service cannot do this now.",
    "504": "The answer did not begin in time. What was to be kept may be; it may be sent again.",
}
KEYED: Final = {
    "401": "No API key, or none that the service knows.",
    "403": "The API key lacks the scope.",
    "429": "The API key asks too often; `Retry-After` says when again.",
}
FULL: Final = {
    "507": "The disk is full: nothing of it was taken in, but what was to be changed, deleted, "
    "erased or learned may be so in part, and is wholly where it is sent again; `Retry-After` says "
    "when."
}
TAKING: Final = frozenset({*(f"/{one}" for one in places.TAKING), "/listings/{item_id}", "/users"})
"""What keeps something on the disk, by its POST or by its other verbs."""
BATCHES: Final = {
    "/listings": "listings",
    "/listings/update": "listings",
    "/listings/delete": "item_ids",
}
"""Operation → its field that holds as many listings as the service is told to take."""
AGAIN: Final = frozenset({"429", "503", "507"})
"""Statuses of a request that may be sent again."""
RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "seconds after which to send the request again, where that may help",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def described(document: dict[str, Any], *, most_listings: int) -> dict[str, Any]:
    """The document of the running service, of Bento's own.

    Args:
        most_listings: that this service takes a call.
    """
    made: dict[str, Any] = json.loads(json.dumps(document))  # statuses are numbers in Bento's
    schemas: dict[str, Any] = made["components"]["schemas"]
    for unused in ("InvalidArgument", "NotFound", "InternalServerError", "TaskStatusResponse"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    for path, field in BATCHES.items():
        (content,) = made["paths"][path]["post"]["requestBody"]["content"].values()
        content["schema"]["properties"][field]["maxItems"] = most_listings
    schemas[PATCH] = _of_one(schemas["ListingChange"])
    made["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `coldstart keys new`; an operation tells its scope.",
        }
    }
    made["info"]["contact"] = {}
    made["paths"].update(_other_verbs(made["paths"]))
    for path, item in made["paths"].items():
        for method, operation in item.items():
            _complete(method.upper(), path, operation)
            _exemplify(operation)
    return dict(_in_three_point_nought(made))


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Add an operation's scope and refusals."""
    scope = scope_of(method, path.replace("{item_id}", "x"))
    responses = operation["responses"]
    told = dict(REFUSALS) if path not in PROBES else {}
    if path in TAKING:
        told |= FULL
    operation["security"] = []
    if scope is not None:
        told |= KEYED
        operation["security"] = [{SCHEME: []}]
        operation["x-scope"] = scope.value
        said = operation.get("description", "").rstrip()
        operation["description"] = f"{said}\n\nTakes the scope `{scope.value}`.".lstrip()
    for status, description in told.items():
        responses[status] = {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": RETRY_AFTER} if status in AGAIN else {}),
        }


def _exemplify(operation: dict[str, Any]) -> None:
    """An operation that takes no parameters takes an empty object."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if not content["schema"].get("properties", True):
            content["schema"]["example"] = {}


def _of_one(change: dict[str, Any]) -> dict[str, Any]:
    """A listing's changes where its id is in the address."""
    made = copy.deepcopy(change)
    made["title"] = PATCH
    made["description"] = "What changes; a field that is not given stays, one given as null goes."
    for part in (made["properties"], made["example"]):
        del part["item_id"]
    made["required"].remove("item_id")
    if not made["required"]:
        del made["required"]
    return made


def _other_verbs(paths: dict[str, Any]) -> dict[str, Any]:
    """`DELETE /users`, and `DELETE` and `PATCH /listings/{item_id}`, as their POSTs answer."""
    erase, update, delete = (
        paths[path]["post"] for path in ("/users/erase", "/listings/update", "/listings/delete")
    )
    item_id = {
        "name": "item_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    }
    change = {"$ref": f"#/components/schemas/{PATCH}"}

    def of(post: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
        answer = {"200": copy.deepcopy(post["responses"]["200"])}
        return {"responses": answer, "tags": post["tags"], "description": text, **more}

    return {
        "/users": {
            "delete": of(
                erase,
                "As `users/erase`; the id is in the body.",
                requestBody=copy.deepcopy(erase["requestBody"]),
            )
        },
        "/listings/{item_id}": {
            "delete": of(delete, "As `listings/delete`, of one.", parameters=[item_id]),
            "patch": of(
                update,
                "As `listings/update`, of one.",
                parameters=[item_id],
                requestBody={"content": {"application/json": {"schema": change}}, "required": True},
            ),
        },
    }


def _in_three_point_nought(part: Any) -> Any:
    """Null and constants as OpenAPI 3.0 spells them."""
    if isinstance(part, list):
        return [_in_three_point_nought(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _in_three_point_nought(value) for name, value in part.items()}
    if "const" in made:
        made["enum"] = [made.pop("const")]
    for bound in ("Minimum", "Maximum"):
        given = made.get(f"exclusive{bound}")
        if isinstance(given, int | float) and not isinstance(given, bool):
            made[bound.lower()], made[f"exclusive{bound}"] = given, True
    if "default" in made and made["default"] is None:
        made["nullable"] = True
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
        if "$ref" in made:
            made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made

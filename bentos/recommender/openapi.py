"""What the service says of itself: Bento's OpenAPI document, completed.

Bento knows neither our keys, nor the other verbs, nor that a field may be null, and tells only of
three errors. Refusals have one shape here, `Problem`, as `guarding.answers` makes it.
"""

import copy
import json
from typing import Any, Final

from bentos.recommender.guarding.access import scope_of

SCHEME: Final = "apiKey"
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
}
KEYED: Final = {
    "401": "No API key, or none that the service knows.",
    "403": "The API key lacks the scope.",
    "429": "The API key asks too often; `Retry-After` says when again.",
}
KEPT: Final = ("/livez", "/readyz", "/healthz", "/metrics")


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The document of the running service, of Bento's own."""
    made: dict[str, Any] = json.loads(json.dumps(document))  # statuses are numbers in Bento's
    schemas: dict[str, Any] = made["components"]["schemas"]
    for unused in ("InvalidArgument", "NotFound", "InternalServerError", "TaskStatusResponse"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
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
    return dict(_in_three_point_nought(made))


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Add an operation's scope and refusals."""
    scope = scope_of(method, path.replace("{item_id}", "x"))
    responses = operation["responses"]
    told = dict(REFUSALS) if path not in KEPT else {}
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
        }


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
    change = {
        "type": "object",
        "description": "the fields that change, as of `listings/update`",
        "example": {"price": 99.0, "available": False},
    }

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

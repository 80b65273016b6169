"""The storefront page and its photos, served beside the API.

A photo is found by its item's id in the catalogue and in nothing else: no part of a request
ever becomes part of a path. Photos take no key, as browsers show them on the shop's own pages.
"""

import mimetypes
from typing import TYPE_CHECKING, Final

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from bentos.recommender import pages, resources

if TYPE_CHECKING:
    from bentos.recommender.shelf import Shelf

SHOWN_USERS: Final = 50


def _shelf() -> "Shelf":
    shelf: Shelf = bentoml.get_current_service().shelf
    return shelf


def users(_: Request) -> Response:
    """Some users to try, those with most events first."""
    return JSONResponse({"user_ids": _shelf().user_ids[:SHOWN_USERS]})


def photo(request: Request) -> Response:
    """The photo of the item, or 404 where it has none."""
    item_id = request.path_params["item_id"]
    path = _shelf().photo_path(item_id)
    if path is None:
        return JSONResponse({"error": f"no photo of item {item_id!r}"}, status_code=404)
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/"):
        return JSONResponse({"error": f"item {item_id!r} has no image file"}, status_code=404)
    headers = {"Cache-Control": "max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(path, media_type=kind, headers=headers)


app: Final = Starlette(
    routes=[
        *pages.routes,
        Route("/storefront/users", users),
        Route("/photos/{item_id:path}", photo),
        *resources.routes,
    ]
)

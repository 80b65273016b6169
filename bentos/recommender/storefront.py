"""The pages for people at `/ui`, their files and photos, served beside the API.

A page's files and a report are found in a closed list, a photo by its item's id in the catalogue:
no part of a request ever becomes part of a path. Photos take no key, as browsers show them on the
shop's own pages.
"""

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bentos.recommender import api_page, resources
from bentos.recommender.desk import report_files

if TYPE_CHECKING:
    from bentos.recommender.service import RecommenderService

PAGES: Final = Path(__file__).resolve().parent / "pages"
STOREFRONT: Final = PAGES / "storefront.html"
OPERATIONS: Final = PAGES / "operations.html"
MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES: Final = {path.name: path for path in PAGES.iterdir() if path.suffix in MEDIA_TYPES}
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A page runs and shows what comes from here, and nothing that stands in it."""
REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""A report is one file with its styles and charts in it; nothing in it runs or loads."""


def _service() -> "RecommenderService":
    service: RecommenderService = bentoml.get_current_service()
    return service


def storefront(_: Request) -> Response:
    """Recommendations, and a listing that is added and meets its first customers."""
    return _page(STOREFRONT)


def operations(_: Request) -> Response:
    """Gate, features, catalogue and experiments."""
    return _page(OPERATIONS)


def moved(request: Request) -> Response:
    """Where the page was once."""
    return RedirectResponse(request.scope.get("root_path", "") + "/ui", status_code=308)


def page_file(request: Request) -> Response:
    """A style or a script of the pages, or 404."""
    path = FILES.get(request.path_params["name"])
    if path is None:
        return JSONResponse({"error": "there is no such file"}, status_code=404)
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)


def report(request: Request) -> Response:
    """A report that `coldstart ingest`, `validate` or `evaluate` kept, or 404."""
    asked = (request.path_params["about"], request.path_params["name"])
    for about, path in report_files(_service().home):
        if asked == (about, path.name):
            headers = {"Content-Security-Policy": REPORT_POLICY}
            return FileResponse(path, media_type="text/html", headers=headers)
    return JSONResponse({"error": "there is no such report"}, status_code=404)


def photo(request: Request) -> Response:
    """The photo of the item, or 404 where it has none."""
    item_id = request.path_params["item_id"]
    path = _service().shelf.photo_path(item_id)
    if path is None:
        return JSONResponse({"error": f"no photo of item {item_id!r}"}, status_code=404)
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/"):
        return JSONResponse({"error": f"item {item_id!r} has no image file"}, status_code=404)
    headers = {"Cache-Control": "max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(path, media_type=kind, headers=headers)


def _page(path: Path) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return FileResponse(path, media_type="text/html", headers=headers)


app: Final = Starlette(
    routes=[
        *api_page.routes,
        Route("/ui", storefront),
        Route("/ui/operations", operations),
        Route("/ui/reports/{about}/{name}", report),
        Route("/ui/{name}", page_file),
        Route("/storefront", moved),
        Route("/photos/{item_id:path}", photo),
        *resources.routes,
    ]
)

"""The page of the API runs nothing but what it was shipped with.

Its policy allows its own inline script and style by their SHA-256, and nothing inline
besides: what a listing's title or a reason says can never run.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

import bentoml
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from bentos.recommender.openapi import described

HERE: Final = Path(__file__).resolve().parent
API: Final = HERE / "api.html"
LOCKED: Final = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def policy(html: str, *, own_files: bool = False) -> str:
    """The Content-Security-Policy of a page.

    Args:
        own_files: whether it also loads scripts and styles from this server.
    """
    also = "'self' " if own_files else ""
    scripts, styles = _hashes(html, "script"), _hashes(html, "style")
    return (
        f"default-src 'none'; script-src {also}{scripts}; style-src {also}{styles}; "
        f"img-src 'self' data:; connect-src 'self'; {LOCKED}"
    )


def _hashes(html: str, tag: str) -> str:
    """Sources that allow each inline element of the tag; 'none' where there is none."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def _page(path: Path, *, own_files: bool = False) -> Response:
    html = path.read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": policy(html, own_files=own_files)}
    return HTMLResponse(html, headers=headers)


def api(_: Request) -> Response:
    """The API with its examples. Bento's own page would also load a tracker of its maker."""
    return _page(API, own_files=True)


def document(_: Request) -> Response:
    """The OpenAPI document, with keys and every refusal."""
    service = bentoml.get_current_service()
    told = service.bento_service.openapi_spec.asdict()
    return JSONResponse(described(told, most_listings=service.most_listings))


routes: Final = (
    Route("/", api),
    Route("/docs.json", document),
)

"""Which scope a request asks for. What is not named here is for admins alone."""

from typing import Final

from coldstart_models.api_keys import Scope

READERS: Final = frozenset({"GET", "HEAD"})
ASKED: Final = {
    "/recommend": Scope.READ,
    "/score": Scope.READ,
    "/explain": Scope.READ,
    "/similar": Scope.READ,
    "/popular": Scope.READ,
    "/status": Scope.READ,
    "/showcase": Scope.READ,
    "/place": Scope.READ,
    "/operations": Scope.METRICS,
    "/events": Scope.EVENTS,
    "/listings": Scope.LISTINGS,
    "/listings/update": Scope.LISTINGS,
    "/listings/delete": Scope.LISTINGS,
    "/adapt": Scope.ADMIN,
    "/users/erase": Scope.ADMIN,
}
"""Path of a POST → what it takes."""
SHOWN: Final = frozenset(
    {"/", "/docs.json", "/schema.json", "/storefront", "/ui", "/livez", "/readyz", "/healthz"}
)
"""What holds nothing of the shop or of people: pages, their description, and whether it lives."""
SHOWN_BELOW: Final = ("/photos/", "/static_content/", "/ui/")
"""Photos are on the shop's own pages, where browsers fetch them without a key."""
REPORTS: Final = "/ui/reports/"
"""They show rows of listings and events: for admins, as whatever is not named here."""
READ: Final = {"/metrics": Scope.METRICS}


def scope_of(method: str, path: str) -> Scope | None:
    """What a key must be allowed; None where no key is asked for.

    OPTIONS answers which methods there are, to browsers that may not send a key with it.
    """
    if method == "OPTIONS":
        return None
    if method in READERS:
        if path in SHOWN or (path.startswith(SHOWN_BELOW) and not path.startswith(REPORTS)):
            return None
        return READ.get(path, Scope.ADMIN)
    if method == "POST":
        return ASKED.get(path, Scope.ADMIN)
    if method in ("PATCH", "DELETE") and path.startswith("/listings/"):
        return Scope.LISTINGS
    return Scope.ADMIN

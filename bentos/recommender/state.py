"""What the parts of the service share: it is the service's own, made when a worker starts."""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bentoml.exceptions import BadInput, BentoMLException, NotFound

from bentos.recommender import measures, payloads
from bentos.recommender.clock import ServiceClock
from bentos.recommender.cursor import Cursors
from bentos.recommender.observing.request import Refusal, current, refuse
from bentos.recommender.photos import PhotoLimits, keep_photo, photo_root, resolve_photo
from bentos.recommender.shelf import Shelf
from coldstart_models.artifacts import Contract
from coldstart_models.errors import UnknownItem, UnknownUser
from coldstart_models.experiments.lanes import Lanes
from feature_repo.errors import StoreLost
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.jobs.sent_photos import SentPhotos
from feature_repo.page_log import PageLog
from feature_repo.served_log import ServedLog
from validation.rules import Rules
from validation.whole_files import FULL

if TYPE_CHECKING:
    from bentos.recommender.deadlines import GuardedStore
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

logger = logging.getLogger("bentoml.coldstart")

STORE_LOST: Final = "the online store does not answer"
"""As clients are told; what its driver says names hosts and files, and is for the log."""
STORE_FULL: Final = "the disk of the online store is full"
LOST_AGAIN: Final = 1
"""Seconds after which a client may ask again where the store is lost."""
FULL_AGAIN: Final = 30
"""The same where the disk is full: somebody has to make room."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What answers: a request takes it once and stays with it, whatever is swapped meanwhile."""

    contract: Contract
    recommender: "Recommender"
    lanes: Lanes

    def versions(self, lane: "Recommender | None" = None) -> dict[str, str]:
        """What a response names: of the lane that answered, by default of what is served."""
        answering = lane or self.recommender
        return {"model": answering.tag, "snapshot": answering.snapshot_version}


class State:
    """The attributes of a worker.

    Who reads more than one of what is served takes `_serving` once, or holds `_intake`, under
    which alone it changes.
    """

    home: Home
    store: "Store"
    """Read and pushed to through `_online`."""
    shelf: Shelf
    _serving: Serving
    _intake: threading.Lock
    _encoders: Any
    _rules: Rules
    _served: ServedLog
    _pages: PageLog
    _cursors: Cursors
    _catalogue: CatalogueReference
    _clock: ServiceClock
    _online: "GuardedStore"
    max_in_flight: int
    """Requests held at once."""
    most_listings: int
    """Of one call."""
    _photo_limits: PhotoLimits
    _warming: bool = False
    """Whether what the first listing needs is still being loaded."""

    @property
    def contract(self) -> Contract:
        """Of the served model."""
        return self._serving.contract

    @property
    def recommender(self) -> "Recommender":
        """Of the served model."""
        return self._serving.recommender

    @property
    def _lanes(self) -> Lanes:
        return self._serving.lanes

    def _bounded(self, field: str, rows: Sequence[object]) -> None:
        """Refuse more listings than a call may have. Raises BadInput."""
        if len(rows) > self.most_listings:
            raise BadInput(
                f"{field}: this service takes at most {self.most_listings} listings a call, "
                f"not {len(rows)}; send less at once"
            )

    def _photo(
        self, listing: payloads.Listing | payloads.ListingChange, *, sent: SentPhotos
    ) -> Path | None:
        """The file of a listing's photo, kept if it was sent; None without. Raises PhotoRefused."""
        if listing.photo_base64 is not None:
            return keep_photo(listing.photo_base64, into=sent, limits=self._photo_limits)
        if listing.photo_path is not None:
            path = resolve_photo(listing.photo_path, root=photo_root(self.home))
            sent.hold(path)  # where another listing was sent with it
            return path
        return None

    def _warm_encoders(self) -> Any:
        """The served model's encoders, loaded once; see `swapping`."""
        raise NotImplementedError


class NotNow(BentoMLException):
    """The request was not answered, and nothing of it was acknowledged; it may be sent again."""

    def __init__(self, reason: str, *, status: HTTPStatus, retry_after: int) -> None:
        super().__init__(reason, error_code=status)
        refuse(Refusal(status, reason, retry_after))


@contextmanager
def as_responses(*, undone: str = "nothing was taken in") -> Iterator[None]:
    """Turn what the recommender does not know into a 404 that names it, and what fails beside the
    service (its store, its disk) into an answer that says so and when to come again.

    Args:
        undone: what has become of the request where the disk is full.
    """
    try:
        yield
    except (UnknownItem, UnknownUser) as error:
        raise NotFound(str(error)) from error
    except StoreLost as error:
        logger.error("%s", error)
        told = f"{STORE_FULL if _full(error) else STORE_LOST}, send this again"
        raise not_now("store", told, retry_after=LOST_AGAIN) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        told = f"the disk of the service is full, {undone}: {os.strerror(error.errno)}"
        status = HTTPStatus.INSUFFICIENT_STORAGE
        raise not_now("disk", told, status=status, retry_after=FULL_AGAIN) from error


def _full(error: StoreLost) -> bool:
    """Whether SQLite says so; other stores' words for it are their own."""
    return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def not_now(
    kind: str,
    reason: str,
    *,
    retry_after: int,
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
    error: type[NotNow] = NotNow,
) -> NotNow:
    """The error to raise where a request is to come again; counted by its kind."""
    request = current()
    measures.count_refused(kind, endpoint=request.endpoint if request else "none")
    return error(reason, status=status, retry_after=retry_after)


def without_root(reason: str, home: Home) -> str:
    """A reason as callers may read it: where the state folder lies is our own affair."""
    return reason.replace(f"{home.root}{os.sep}", "").replace(str(home.root), "the state folder")

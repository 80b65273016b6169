"""What the parts of the service share: it is the service's own, made when a worker starts."""

import errno
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable

from bentos.recommender import measures
from bentos.recommender.clock import ServiceClock
from bentos.recommender.cursor import Cursors
from bentos.recommender.observing.request import Refusal, current, refuse
from bentos.recommender.shelf import Shelf
from coldstart_models.artifacts import Contract
from coldstart_models.errors import ModelError, UnknownItem, UnknownUser
from coldstart_models.experiments.lanes import Lanes
from feature_repo.errors import FeatureError, StoreLost
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.page_log import PageLog
from feature_repo.served_log import ServedLog
from validation.rules import Rules

if TYPE_CHECKING:
    from bentos.recommender.deadlines import GuardedStore
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

logger = logging.getLogger("bentoml.coldstart")

LOST_AGAIN: Final = 1
"""Seconds after which a client may ask again where the store is lost."""
FULL_AGAIN: Final = 30
"""The same where the disk is full: somebody has to make room."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class State:
    """The attributes of a worker."""

    home: Home
    store: "Store"
    """Read and pushed to through `_online`."""
    contract: Contract
    recommender: "Recommender"
    shelf: Shelf
    _intake: threading.Lock
    _encoders: Any
    _rules: Rules
    _served: ServedLog
    _pages: PageLog
    _lanes: Lanes
    _cursors: Cursors
    _catalogue: CatalogueReference
    _clock: ServiceClock
    _online: "GuardedStore"
    max_in_flight: int
    """Requests held at once."""

    def _versions(self, recommender: "Recommender | None" = None) -> dict[str, str]:
        """Of what answered; by default the served recommender."""
        answering = recommender or self.recommender
        return {"model": answering.tag, "snapshot": answering.snapshot_version}

    def _warm_encoders(self) -> Any:
        """The model's encoders, loaded once. Raises ServiceUnavailable saying why not."""
        if self._encoders is None:
            from coldstart_models.listing_encoders import load_encoders

            try:
                with measures.stage("load encoders"):
                    self._encoders = load_encoders(
                        self.contract,
                        home=self.home,
                        image=os.environ.get("COLDSTART_IMAGE_ENCODER"),
                        text=os.environ.get("COLDSTART_TEXT_ENCODER"),
                    )
            except (FeatureError, ModelError) as error:
                raise ServiceUnavailable(f"new listings cannot be encoded: {error}") from error
        return self._encoders


class NotNow(BentoMLException):
    """The request was not answered, and nothing of it was acknowledged; it may be sent again."""

    def __init__(self, reason: str, *, status: HTTPStatus, retry_after: int) -> None:
        super().__init__(reason, error_code=status)
        refuse(Refusal(status, reason, retry_after))


@contextmanager
def as_responses() -> Iterator[None]:
    """Turn what the recommender does not know into a 404 that names it, and what fails beside the
    service (its store, its disk) into an answer that says so and when to come again."""
    try:
        yield
    except (UnknownItem, UnknownUser) as error:
        raise NotFound(str(error)) from error
    except StoreLost as error:
        raise not_now("store", str(error), retry_after=LOST_AGAIN) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        told = f"the disk of the service is full, nothing was taken in: {os.strerror(error.errno)}"
        status = HTTPStatus.INSUFFICIENT_STORAGE
        raise not_now("disk", told, status=status, retry_after=FULL_AGAIN) from error


def not_now(
    kind: str,
    reason: str,
    *,
    retry_after: int,
    status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
) -> NotNow:
    """The error to raise where a request is to come again; counted by its kind."""
    request = current()
    measures.count_refused(kind, endpoint=request.endpoint if request else "none")
    return NotNow(reason, status=status, retry_after=retry_after)

"""What the parts of the service share: it is the service's own, made when a worker starts."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bentoml.exceptions import NotFound, ServiceUnavailable

from bentos.recommender import measures, payloads
from bentos.recommender.cursor import Cursors
from bentos.recommender.photos import PhotoLimits, keep_photo, photo_root, resolve_photo
from bentos.recommender.shelf import Shelf
from coldstart_models.artifacts import Contract
from coldstart_models.errors import ModelError, UnknownItem, UnknownUser
from coldstart_models.experiments.lanes import Lanes
from feature_repo.errors import FeatureError
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.page_log import PageLog
from feature_repo.served_log import ServedLog
from validation.rules import Rules

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

logger = logging.getLogger("bentoml.coldstart")


class State:
    """The attributes of a worker."""

    home: Home
    store: "Store"
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
    _photo_limits: PhotoLimits

    def _versions(self) -> dict[str, str]:
        return {"model": self.recommender.tag, "snapshot": self.recommender.snapshot_version}

    def _photo(self, listing: payloads.Listing | payloads.ListingChange) -> Path | None:
        """The file of a listing's photo, kept if it was sent; None without. Raises PhotoRefused."""
        if listing.photo_base64 is not None:
            return keep_photo(listing.photo_base64, home=self.home, limits=self._photo_limits)
        if listing.photo_path is not None:
            return resolve_photo(listing.photo_path, root=photo_root(self.home))
        return None

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


@contextmanager
def as_responses() -> Iterator[None]:
    """Turn what the recommender does not know into a 404 that names it."""
    try:
        yield
    except (UnknownItem, UnknownUser) as error:
        raise NotFound(str(error)) from error

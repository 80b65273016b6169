"""What the first listing would wait for is loaded beside the first requests.

Until that is done the worker answers, but is not ready: a listing that came would wait for the
gate's libraries and the encoders, which take tens of seconds on a busy machine.
"""

from typing import Final

import pandas as pd
from bentoml.exceptions import ServiceUnavailable

from bentos.recommender.following import Following
from bentos.recommender.operating import Operating
from bentos.recommender.state import logger
from coldstart_models.errors import ModelError
from coldstart_models.listing_encoders import encode
from feature_repo.errors import FeatureError
from feature_repo.jobs.catalogue import accepted_rows
from validation import tables
from validation.errors import ValidationError

TRIED: Final = {tables.ITEM_ID: "warm-up", tables.TITLE: "Oak side table", tables.SOURCE: "warm-up"}
"""A listing that is judged and encoded, and kept nowhere."""


class Warming(Following, Operating):
    """A thread that loads."""

    def _warm(self) -> None:
        try:
            self._finish_erasure()
            with self._intake:  # events wait for the gate, but not for encoders
                self._warm_gate()
            with self._intake:
                self._try_encoders()
        finally:
            self._warming = False
        self._warm_desk()

    def _warm_gate(self) -> None:
        """Import Great Expectations, learn the catalogue, and judge a listing."""
        from validation import engine, gate

        engine.context()
        tried = pd.DataFrame([TRIED], columns=tables.ITEMS.names, dtype=object)
        try:
            listed = accepted_rows(tables.ITEMS, self.home.items)
            reference = self._catalogue.of(listed)
            gate.check_items(tried, reference=reference, rules=self._rules, now=self._clock.now())
        except (FeatureError, ValidationError) as error:
            logger.error("listings cannot be judged: %s", error)

    def _try_encoders(self) -> None:
        try:
            encoders = self._warm_encoders()
            tried = pd.DataFrame([TRIED], columns=tables.ITEMS.names, dtype=object)
            encode(tried, encoder=encoders.text, now=self._clock.now())
        except (ServiceUnavailable, FeatureError, ModelError) as error:
            logger.error("%s", error)

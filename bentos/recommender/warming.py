"""What the first listing would wait for is loaded beside the model, and then tried.

Until that is done the worker answers, but is not ready: a listing that came would wait for the
gate's libraries and the encoders, which take tens of seconds on a busy machine. While the model's
vectors are read and looked through, which Python's lock is not held for, another thread imports
the libraries and learns the catalogue.
"""

import sys
import threading
from typing import Any, Final

import pandas as pd

from bentos.recommender.following import Following
from bentos.recommender.operating import Operating
from bentos.recommender.state import logger
from bentos.recommender.swapping import CannotEncode
from coldstart_models.artifacts import Contract
from coldstart_models.errors import ModelError
from coldstart_models.listing_encoders import encode
from coldstart_models.log_clock import log_clock
from feature_repo.errors import FeatureError
from feature_repo.jobs.catalogue import accepted_rows
from validation import tables
from validation.errors import ValidationError
from validation.reference import Reference

TRIED: Final = {tables.ITEM_ID: "warm-up", tables.TITLE: "Oak side table", tables.SOURCE: "warm-up"}
"""A listing that is judged and encoded, and kept nowhere."""


class Warming(Following, Operating):
    """Two threads that load, one after the other."""

    _usual_turns: float
    """Seconds after which threads take turns once all is loaded."""
    _learning: threading.Thread | None = None
    _loaded: tuple[Contract, Any] | None = None
    """The encoders of a model's contract, as far as they were loaded beside it."""

    def _learn_beside(self, contract: Contract) -> None:
        """Begin to load what listings need while a model of this contract is loaded."""
        if self._learning is None:
            self._learning = threading.Thread(
                target=self._learn, args=(contract,), name="coldstart-learn", daemon=True
            )
            self._learning.start()

    def _learn(self, contract: Contract) -> None:
        try:
            self._learned_catalogue()
            self._loaded = contract, self._load_encoders(contract)
        except (FeatureError, ModelError, ValidationError) as error:
            logger.info("to be tried again once the model is loaded: %s", error)

    def _learned_catalogue(self) -> Reference:
        """Import Great Expectations and learn the catalogue, where that is not done."""
        from validation import engine

        engine.context()
        held = self._catalogue.held()
        return held or self._catalogue.of(accepted_rows(tables.ITEMS, self.home.items))

    def _warm(self) -> None:
        if self._learning is not None:
            self._learning.join()
            self._learning = None
        try:
            self._finish_erasure()
            with self._intake:  # events wait for the gate, but not for encoders
                self._warm_gate()
            with self._intake:
                self._try_encoders()
            self._count_log()
        finally:
            self._warming = False
            sys.setswitchinterval(self._usual_turns)
        self._warm_desk()

    def _count_log(self) -> None:
        """So that no first customer waits until a long log is counted."""
        try:
            log_clock(self.home).now()
        except FeatureError as error:
            logger.error("how fast customers come is not known yet: %s", error)

    def _warm_gate(self) -> None:
        """Judge a listing beside the catalogue."""
        from validation import gate

        tried = pd.DataFrame([TRIED], columns=tables.ITEMS.names, dtype=object)
        try:
            reference = self._learned_catalogue()
            gate.check_items(tried, reference=reference, rules=self._rules, now=self._clock.now())
        except (FeatureError, ValidationError) as error:
            logger.error("listings cannot be judged: %s", error)

    def _try_encoders(self) -> None:
        loaded, self._loaded = self._loaded, None
        if self._encoders is None and loaded is not None and loaded[0] == self.contract:
            self._encoders = loaded[1]
        try:
            encoders = self._warm_encoders()
            tried = pd.DataFrame([TRIED], columns=tables.ITEMS.names, dtype=object)
            encode(tried, encoder=encoders.text, now=self._clock.now())
        except CannotEncode:  # `_warm_encoders` has told the log
            return
        except (FeatureError, ModelError) as error:
            logger.error("a listing that was tried cannot be encoded: %s", error)

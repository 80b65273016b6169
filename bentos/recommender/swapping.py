"""Serving another model without a pause: it is loaded and checked beside the served one first.

`coldstart models use` writes which model to serve into the state folder; each worker's follow
thread looks there. Until the last check has passed nothing changes, and a model that fails one is
refused: the served one goes on. Then one assignment puts the new one in its place. A request keeps
what it began with, so it ends on the old model, which goes when the last such request has ended.
"""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bentoml.exceptions import ServiceUnavailable

from bentos.recommender import measures
from bentos.recommender.state import NotNow, Serving, State, logger, not_now, without_root
from coldstart_models.artifacts import Contract, check_contract, find_model, observe_features
from coldstart_models.errors import ModelError
from coldstart_models.listing_encoders import ListingEncoders, load_encoders
from coldstart_models.served_model import MODEL_VARIABLE, read_choice
from coldstart_models.sound_model import Refused
from feature_repo.errors import FeatureError
from feature_repo.home import Home
from feature_repo.listing_changes import ListingChanges
from feature_repo.log_state import LogState
from validation.whole_files import identity_of

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender


ENCODERS_AGAIN: Final = 30
"""Seconds after which listings may come again where the encoders cannot be loaded."""


class CannotEncode(NotNow, ServiceUnavailable):
    """The encoders of the served model cannot be loaded: somebody has to bring them."""


class Meanwhile:
    """What the served model took in while another was loaded; the other then takes it in too."""

    def __init__(self) -> None:
        self.calls: list[Callable[[Any], object]] = []
        self.listings = 0

    def add_listings(self, *given: Any) -> None:
        self.listings += 1
        self.calls.append(lambda model: model.add_listings(*given))

    def adapt(self, *given: Any, **named: Any) -> None:
        self.calls.append(lambda model: model.adapt(*given, **named))

    def remove_listings(self, *given: Any) -> None:
        self.calls.append(lambda model: model.remove_listings(*given))

    def is_new(self, item_id: str) -> bool:
        """No: what the log tells of other processes, the model learns when it is loaded."""
        return False

    def reload(self, home: Home) -> None:
        """No: too many changes of other processes are told to the model after it is loaded."""

    def forget_adaptations(self, *given: Any) -> None:
        self.calls.append(lambda model: model.forget_adaptations(*given))

    def count_sales(self, log: LogState) -> None:
        """No: the model counts the whole log when it is loaded."""

    def forget_people(self) -> None:
        self.calls.append(lambda model: model.forget_people())


class EncodedOtherwise(ModelError):  # noqa: N818 - reads as the fact it states
    """Listings came meanwhile, in the vectors of other encoders: load again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that passed its checks."""

    contract: Contract
    recommender: "Recommender"
    encoders: ListingEncoders | None
    """None where those of the served model are its own too."""


class Swapping(State):
    """The served model follows the state folder's choice."""

    _choice_seen: str = ""
    """The choice, as a file, that was acted on."""
    _owed: frozenset[str] | None = frozenset()
    """Listings to look at again after a swap; None where too many changed to name them."""
    _refused: tuple[str, str] | None = None
    """A chosen model that is not served, and why."""

    def follow_choice(self) -> None:
        """Serve what was chosen, if it was not looked at yet and passes its checks."""
        self._take_up_owed()
        written = identity_of(self.home.served_model)
        if not written or written == self._choice_seen or os.environ.get(MODEL_VARIABLE):
            return
        tag = "unreadable"
        try:
            choice = read_choice(self.home)
            tag = choice.tag if choice else self.recommender.tag
            if tag != self.recommender.tag:
                self._swap(tag)
            self._refused = None
        except EncodedOtherwise as error:
            logger.info("%s is loaded again: %s", tag, error)
            return
        except Exception as error:  # whatever is wrong with it, the served model goes on
            self._refuse(tag, error)
        self._choice_seen = written

    def _refuse(self, tag: str, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        self._refused = (tag, without_root(reason, self.home))
        measures.count_swap("refused")
        logger.error(
            "%s is refused, %s goes on: %s",
            tag,
            self.recommender.tag,
            reason,
            exc_info=not isinstance(error, FeatureError | ModelError),
        )

    def _swap(self, tag: str) -> None:
        """Raises what is wrong with the model; then nothing has changed."""
        began, before = time.monotonic(), self.recommender.tag
        changes = ListingChanges(self.home)
        serving, meanwhile = self._serving, Meanwhile()
        variant = serving.lanes.models.get(tag)
        # Under the lock: what is being taken in is in the state folder before it is read.
        with self._intake:
            serving.recommender.lead([*serving.lanes.followers, meanwhile])
        try:
            found = self._candidate(tag, variant)
            self._bring_up(found.recommender, changes)
            with self._intake:
                if variant is None:
                    self._replay(meanwhile, found)
                lanes = serving.lanes.served_by(found.recommender)
                if found.encoders is not None:
                    self._encoders = found.encoders
                self._serving = Serving(found.contract, found.recommender, lanes)
        except BaseException:
            with self._intake:
                serving.recommender.lead(serving.lanes.followers)
            raise
        missed = changes.ids()
        self._owed = None if missed is None else frozenset(missed)
        del serving, variant, found, lanes, meanwhile
        gc.collect()  # only what came since the last freeze is looked through
        gc.freeze()
        measures.count_swap("swapped")
        logger.info("serving %s after %s, %.1f s", tag, before, time.monotonic() - began)

    def _bring_up(self, recommender: "Recommender", changes: ListingChanges) -> None:
        """Let a model that was being loaded know what other processes changed meanwhile."""
        from coldstart_models.served_recommender import take_up_changes

        changed = changes.ids()
        if changed is None:
            recommender.reload(self.home)
        elif changed:
            store = self._online.patient
            take_up_changes(changed, home=self.home, store=store, recommender=recommender)

    def _take_up_owed(self) -> None:
        """What other processes changed of the listings while the served model was loaded.

        The thread that looks for such changes may have told them to the model of before alone.
        """
        from coldstart_models.served_recommender import take_up_changes

        owed = self._owed
        if owed is None:
            self.recommender.reload(self.home)
        elif owed:
            store = self._online.patient
            take_up_changes(owed, home=self.home, store=store, recommender=self.recommender)
        self._owed = frozenset()

    def _candidate(self, tag: str, loaded: "Recommender | None") -> Candidate:
        """The model, checked; `loaded` where an experiment's variant has it already."""
        from coldstart_models.served_recommender import examine, load_served

        with measures.stage("load model"):
            stored = find_model(self.home, tag=tag)
            services = frozenset(self.store.registered().services)
            observed = replace(observe_features(self.home), feature_services=services)
            check_contract(stored.contract, observed)
            recommender = loaded or load_served(self.home, tag=stored.tag)
            examine(recommender)
        encoders = None
        if _encoders_of(stored.contract) != _encoders_of(self.contract):
            encoders = self._load_encoders(stored.contract)
        return Candidate(stored.contract, recommender, encoders)

    def _replay(self, meanwhile: Meanwhile, found: Candidate) -> None:
        if meanwhile.listings and found.encoders is not None:
            raise EncodedOtherwise(f"{meanwhile.listings} batches of listings came meanwhile")
        for call in meanwhile.calls:
            call(found.recommender)

    def _load_encoders(self, contract: Contract) -> ListingEncoders:
        """The encoders of a model. Raises FeatureError or ModelError saying why not."""
        with measures.stage("load encoders"):
            return load_encoders(
                contract,
                home=self.home,
                image=os.environ.get("COLDSTART_IMAGE_ENCODER"),
                text=os.environ.get("COLDSTART_TEXT_ENCODER"),
            )

    def _warm_encoders(self) -> Any:
        """The served model's encoders, loaded once. Raises CannotEncode; the log says why."""
        if self._encoders is None:
            try:
                self._encoders = self._load_encoders(self.contract)
            except (FeatureError, ModelError) as error:
                logger.error("listings cannot be encoded: %s", error)
                told = "listings cannot be encoded now; the log of the service says why"
                kind = CannotEncode
                raise not_now("encoders", told, retry_after=ENCODERS_AGAIN, error=kind) from error
        return self._encoders


def told_refused(refused: Refused | None, *, home: Home) -> tuple[str, str] | None:
    """Tag and reason of a model that a worker was to begin with; logged and counted."""
    if refused is None:
        return None
    measures.count_swap("refused")
    logger.error("%s is refused, an earlier model is served: %s", refused.tag, refused.reason)
    return refused.tag, without_root(refused.reason, home)


def _encoders_of(contract: Contract) -> tuple[str, str]:
    return contract.image_encoder_hash, contract.text_encoder_hash

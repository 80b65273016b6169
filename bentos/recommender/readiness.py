"""Whether this worker should get requests: tables, store, model and snapshot agree, all is there.

Kubernetes and load balancers ask `/readyz` every few seconds. The answer is kept for a second; the
tables are compared with the model's contract again only when one of them was written.
"""

import threading
import time
from typing import TYPE_CHECKING, Final

from bentos.recommender.state import STORE_LOST, State, logger, without_root
from coldstart_models.artifacts import StoredModel, check_contract, observe_features
from coldstart_models.errors import ContractMismatch
from feature_repo.environment import Environment
from feature_repo.errors import StoreError, StoreLost
from feature_repo.home import Home

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

KEPT_SECONDS: Final = 1.0
LOOKED_FOR: Final = 5
"""Listings whose vectors are looked for in the online store."""


class Readiness(State):
    """What Bento asks before it answers `/readyz`."""

    _looking: threading.Lock
    _looked_at: float = float("-inf")
    _reasons: tuple[str, ...] = ()
    _why: str = ""
    """What the store's driver says, for the log alone: it names hosts and files."""
    _fitted: tuple[object, ...] | None = None
    """The files' states and the model for which the contract was found to hold."""

    def __is_ready__(self) -> bool:
        """Bento answers 503 where this is false."""
        return not self.not_ready()

    def not_ready(self) -> tuple[str, ...]:
        """Why this worker should get no requests; empty where it should. Kept for a second."""
        with self._looking:
            if time.monotonic() - self._looked_at >= KEPT_SECONDS:
                found = self._disagreements()
                if found != self._reasons:
                    self._tell(found)
                self._reasons, self._looked_at = found, time.monotonic()
            return self._reasons

    def _disagreements(self) -> tuple[str, ...]:
        found, self._why = [], ""
        if self._warming:
            found.append("the gate and the encoders are being loaded, listings would wait for them")
        try:
            self._check_contract()
        except ContractMismatch as error:
            found.append(without_root(str(error), self.home))
        found += self._foreign_snapshots()
        try:
            asked = some_of(self.recommender.listings.item_ids)
            if not self.store.probe(asked):
                found.append(
                    f"the online store holds a vector of none of {len(asked)} served listings that "
                    "were looked for; run `coldstart aggregate` and `coldstart materialize`"
                )
        except StoreLost as error:
            self._why = str(error)
            found.append(f"{STORE_LOST}; the log of the service says why")
        except StoreError as error:
            found.append(without_root(str(error), self.home))
        return tuple(found)

    def _foreign_snapshots(self) -> list[str]:
        """What is told of models, an experiment's too, that rank by vectors of another one."""
        return [
            f"{model.tag} ranks by a snapshot of vectors that {model.snapshot_model} made; "
            "start the service again"
            for model in self._lanes.models.values()
            if model.snapshot_model != model.tag
        ]

    def _check_contract(self) -> None:
        """Raise ContractMismatch where the tables are no longer those of the model."""
        state = (self.contract, *_states(self))
        if state == self._fitted:
            return
        check_contract(self.contract, observe_features(self.home))
        require_registered(self.contract.feature_service, home=self.home)
        self._fitted = state

    def _tell(self, reasons: tuple[str, ...]) -> None:
        if reasons:
            logger.error("not ready: %s", "; ".join(filter(None, (*reasons, self._why))))
        else:
            logger.info("ready")


def some_of(item_ids: "npt.NDArray[np.object_]") -> list[str]:
    """A few of many, spread evenly; one that is deleted meanwhile leaves the others.

    Whose vectors the store holds says nothing: a model that was trained earlier, and is served
    again, ranks by a snapshot of its own while the store holds the vectors of the newest.
    """
    step = max(1, len(item_ids) // LOOKED_FOR)
    return [str(one) for one in item_ids[::step][:LOOKED_FOR]]


def _states(state: State) -> tuple[tuple[str, int, int, int], ...]:
    """What tells whether a feature table or the registry was written since."""
    paths = [*sorted(state.home.features.glob("*.parquet")), state.home.registry]
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def require_fit(stored: StoredModel, *, home: Home) -> None:
    """Raise ModelError where the model is not whole or does not fit what is stored."""
    stored.require_whole()
    check_contract(stored.contract, observe_features(home))
    require_registered(stored.contract.feature_service, home=home)


def require_registered(feature_service: str, *, home: Home) -> None:
    """Raise ContractMismatch where the registry cannot hold the feature service.

    The registry is a protobuf, which spells names out: one that its bytes do not hold is not
    registered. Asking Feast would take seconds; the worker does.
    """
    registry = Environment.current().registry_file(home)
    if registry is None:  # in a database, which the worker asks
        return
    if not registry.exists():
        raise ContractMismatch(f"no features are registered in {home.root}; run `coldstart apply`")
    if feature_service.encode() not in registry.read_bytes():
        raise ContractMismatch(
            f"the model reads the feature service {feature_service!r}, which is not registered "
            f"in {home.root}; run `coldstart apply`, or train again on what is"
        )

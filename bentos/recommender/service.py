"""The BentoML service: reads a person's features, asks the recommender, answers.

Nothing is ranked here and no feature is made here; see `coldstart_models.recommending`,
`coldstart_models.event_intake` and `coldstart_models.listings`. One worker: item vectors live
in a snapshot of this process, which new listings and events keep fresh.
"""

import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import bentoml
from bentoml.exceptions import BentoMLException, ServiceUnavailable

from bentos.recommender import measures, payloads, storefront, threads
from bentos.recommender.changing import Changing
from bentos.recommender.cursor import Cursors
from bentos.recommender.desk import Desk
from bentos.recommender.operating import Operating
from bentos.recommender.packing import ProjectImage
from bentos.recommender.people import People
from bentos.recommender.shelf import Shelf
from bentos.recommender.showing import Showing
from bentos.recommender.state import logger
from bentos.recommender.taking import Taking
from coldstart_models.artifacts import LATEST, check_contract, find_model, observe_features
from coldstart_models.config import load_config
from coldstart_models.errors import ContractMismatch, ModelError
from coldstart_models.experiments.lanes import Lanes
from feature_repo.environment import Environment
from feature_repo.errors import FeatureError
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.page_log import PageLog, explored_exposures
from feature_repo.secret_files import secret
from feature_repo.served_log import ServedLog

MODEL_VARIABLE: Final = "COLDSTART_MODEL"
FOLLOW_SECONDS: Final = 0.5
"""Between looks for events that a consumer took in."""
LONGEST_FOLLOW_SECONDS: Final = 60.0
"""The same while looking fails; doubled from failure to failure."""

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")


@bentoml.asgi_app(storefront.app, path="/")
@bentoml.service(
    name="coldstart_recommender",
    image=ProjectImage(lock_python_packages=False),
    workers=1,
    threads=4,
    traffic={"timeout": 60},
)
class RecommenderService(Showing, Taking, Changing, People, Operating):
    """Personal recommendations of home-goods listings nobody has clicked yet."""

    def __init__(self) -> None:
        from coldstart_models.experiments.challenger import load_challenger
        from coldstart_models.recommending import Recommender
        from feature_repo.store import Store

        self.home = Home.current()
        self.store = Store(self.home)
        stored = find_model(self.home, tag=model_tag())
        self.contract = stored.contract
        services = frozenset(self.store.registered().services)
        observed = replace(observe_features(self.home), feature_services=services)
        check_contract(self.contract, observed)
        self.recommender = Recommender.load(self.home, tag=stored.tag)
        self.shelf = Shelf.load(self.home)
        self._intake = threading.Lock()
        self._encoders: Any = None
        self._erasures = self._known_erasures()
        settings = load_config()
        self._rules = settings.gate.rules()
        self._served = ServedLog(self.home, share=settings.serve.logged_share)
        self._pages = PageLog(self.home)
        self._cursors = Cursors(secret(self.home.cursor_key))
        self._lanes = Lanes.of(
            settings,
            self.recommender,
            spent=lambda: explored_exposures(self.home),
            load=lambda tag: load_challenger(self.home, tag=tag),
        )
        self._catalogue = CatalogueReference(self.home)
        self._desk = Desk(
            self.home, store=self.store, recommender=self.recommender, lanes=self._lanes
        )
        threads.one_each()
        gc.collect()
        gc.freeze()
        logger.info("serving %s over %d listings", self.recommender.tag, len(self.shelf))

    @bentoml.on_startup
    def warm_up(self) -> None:
        """Load the gate and the encoders beside the first requests, not within one."""
        threading.Thread(target=self._warm, name="coldstart-warm-up", daemon=True).start()
        threading.Thread(target=self._follow, name="coldstart-follow", daemon=True).start()

    @bentoml.on_deployment
    @staticmethod
    def refuse_a_mismatch() -> None:
        """Before any worker starts: the model must be there and fit the features.

        A worker that refused would be started again and again; here the server exits.
        """
        home = Home.current()
        try:
            stored = find_model(home, tag=model_tag())
            check_contract(stored.contract, observe_features(home))
            require_registered(stored.contract.feature_service, home=home)
        except ModelError as error:
            raise BentoMLException(f"the recommender does not start: {error}") from error

    @bentoml.api
    def status(self) -> payloads.StatusResponse:
        """Which model and snapshot answer, and whether the stores are there."""
        environment = Environment.current()
        return payloads.StatusResponse(
            trained_at=self.contract.trained_at,
            feature_service=self.contract.feature_service,
            items=len(self.shelf),
            online_store="ready" if environment.online_ready(self.home) else "missing",
            registry="ready" if environment.registry_ready(self.home) else "missing",
            **self._versions(),
        )

    def _warm(self) -> None:
        self._finish_erasure()
        with self._intake:
            from validation import engine

            engine.context()  # Great Expectations takes seconds to import
            try:
                self._warm_encoders()
            except ServiceUnavailable as error:
                logger.error("%s", error)
        self._warm_desk()

    def _follow(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Let new listings learn from events that other processes took in.

        Nobody would start this thread again: it outlives every error, and looks less often while
        they last.
        """
        pause = FOLLOW_SECONDS
        while True:
            wait(pause)
            try:
                self.follow()
            except Exception as error:
                measures.count_follow_failure(error)
                pause = min(2 * pause, LONGEST_FOLLOW_SECONDS)
                logger.error(
                    "new listings do not learn from others' events now, next try in %.0f s: %s",
                    pause,
                    error,
                    exc_info=not isinstance(error, FeatureError | ModelError),
                )
            else:
                pause = FOLLOW_SECONDS

    def follow(self) -> None:
        """As `_follow`, once; nothing where there is nothing new."""
        from coldstart_models.online_push import is_behind, push_online

        self._notice_erasures()
        if is_behind(self.home):
            with self._intake:
                push_online(
                    self.home, self.store, recommender=self.recommender, now=datetime.now(UTC)
                )


def model_tag() -> str:
    """The model to serve: COLDSTART_MODEL, else the Bento's, else the latest of the home."""
    named = os.environ.get(MODEL_VARIABLE)
    bento: Any = getattr(RecommenderService, "bento", None)
    packed = [str(model.tag) for model in bento.info.all_models] if bento else []
    return named or (packed[0] if packed else LATEST)


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

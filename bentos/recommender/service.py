"""The BentoML service: reads a person's features, asks the recommender, answers.

Nothing is ranked here and no feature is made here; see `coldstart_models.recommending`,
`coldstart_models.event_intake` and `coldstart_models.listings`. Item vectors live in a snapshot of
each worker, which new listings and events keep fresh; see `following` for those of others.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import bentoml
from bentoml.exceptions import BentoMLException

from bentos.recommender import payloads, storefront, threads
from bentos.recommender.changing import Changing
from bentos.recommender.clock import ServiceClock
from bentos.recommender.collecting import frozen_after
from bentos.recommender.cursor import Cursors
from bentos.recommender.deadlines import GuardedStore
from bentos.recommender.desk import Desk
from bentos.recommender.guarding import Guard, guarded, patience
from bentos.recommender.guarding.guard import refuse_without_keys
from bentos.recommender.observing import logs
from bentos.recommender.observing.exposition import Exposition
from bentos.recommender.observing.tracing import trace_where_it_is_of_use
from bentos.recommender.packed_model import bring_model, packed_tag
from bentos.recommender.packing import image_variables, project_image
from bentos.recommender.photos import PhotoLimits, sweep_sent_photos
from bentos.recommender.readiness import require_fit
from bentos.recommender.shelf import Shelf
from bentos.recommender.showing import Showing
from bentos.recommender.state import Serving, logger
from bentos.recommender.swapping import told_refused
from bentos.recommender.taking import Taking
from bentos.recommender.warming import Warming
from coldstart_models.artifacts import StoredModel, check_contract, observe_features
from coldstart_models.config import load_config
from coldstart_models.errors import ModelError
from coldstart_models.experiments.lanes import Lanes
from coldstart_models.served_model import MODEL_VARIABLE, note_started, served_tag
from coldstart_models.sound_model import Begun, begin
from feature_repo.environment import Environment
from feature_repo.erasure import journal
from feature_repo.errors import StoreLost
from feature_repo.feature_tables import ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.listing_changes import ListingChanges
from feature_repo.page_exposures import ExploredExposures
from feature_repo.page_log import PageLog
from feature_repo.replicas.exchange import Exchange
from feature_repo.secret_files import secret
from feature_repo.served_log import ServedLog
from feature_repo.vector_snapshot import read_ahead

if TYPE_CHECKING:
    from coldstart_models.recommending import Recommender
    from feature_repo.store import Store

T = TypeVar("T")
WORKERS_VARIABLE: Final = "COLDSTART_WORKERS"

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
trace_where_it_is_of_use()


@bentoml.asgi_app(storefront.app, path="/")
@bentoml.service(
    name="coldstart_recommender",
    image=project_image(),
    envs=image_variables(),
    workers=int(os.environ.get(WORKERS_VARIABLE) or 1),
    threads=4,
    traffic={"timeout": patience.BENTO_SECONDS},
    logging={"access": {"enabled": False}},  # see `observing.access`
)
class RecommenderService(Showing, Taking, Changing, Warming, Exposition):
    """Personal recommendations of home-goods listings nobody has clicked yet."""

    @frozen_after()
    def __init__(self) -> None:
        from coldstart_models.experiments.challenger import load_challenger
        from coldstart_models.served_recommender import load_served
        from feature_repo.store import Store

        logs.install()
        settings = load_config()
        self.home = Home.current()
        threads.one_each()
        self._usual_turns = threads.take_turns_quickly()
        read_ahead(self.home, ITEM_VECTOR.name)
        store = Store(self.home)
        self.max_in_flight = settings.serve.max_in_flight
        self.most_listings = settings.serve.most_listings
        self._clock, self._looking = ServiceClock(), threading.Lock()
        services = frozenset(store.registered().services)
        observed = replace(observe_features(self.home), feature_services=services)
        store.wait_at_most(settings.serve.store_patience_s)
        self._first_read(store)
        self._online = GuardedStore(store, deadline=settings.serve.store_deadline_ms / 1000)
        self.store = cast(Store, self._online)
        # What changes from here on is noticed: whom and what is loaded next may not know.
        self._erasures = journal.receipts(self.home)
        self._listing_changes, self._missed = ListingChanges(self.home), set()
        self._exchange = Exchange(self.home, store)

        self._catalogue = CatalogueReference(self.home)

        def load(stored: StoredModel) -> "Recommender":
            check_contract(stored.contract, observed)
            self._learn_beside(stored.contract)
            return load_served(self.home, tag=stored.tag)

        begun = begin_serving(self.home, load)
        recommender, self._refused = begun.loaded, told_refused(begun.refused, home=self.home)
        self.shelf = Shelf.load(self.home)
        self._intake = threading.Lock()
        self._encoders: Any = None
        self._photo_limits = PhotoLimits(settings.serve.largest_photo, settings.serve.most_pixels)
        self.guard = Guard.of(self.home, settings.serve)
        self._rules = settings.gate.rules()
        self._served = ServedLog(self.home, share=settings.serve.logged_share)
        self._pages = PageLog(self.home, gib=settings.serve.page_log_gib)
        self._exposures = ExploredExposures(self.home)
        self._cursors = Cursors(secret(self.home.cursor_key))
        lanes = Lanes.of(
            settings,
            recommender,
            spent=self._exposures.look,
            load=lambda tag: load_challenger(self.home, tag=tag),
        )
        self._serving = Serving(begun.stored.contract, recommender, lanes)
        self._desk = Desk(self.home, store=store, serving=lambda: self._serving)
        note_started(self.home, recommender.tag)
        logger.info("serving %s over %d listings", self.recommender.tag, len(self.shelf))

    @bentoml.on_startup
    def warm_up(self) -> None:
        """Try the gate and the encoders beside the first requests, not within one."""
        self._warming = True
        threading.Thread(target=self._warm, name="coldstart-warm-up", daemon=True).start()
        self.start_following()

    @bentoml.on_deployment
    @staticmethod
    def refuse_a_mismatch() -> None:
        """Before any worker starts: the model must be there and fit the features.

        A worker that refused would be started again and again; here the server exits.
        """
        logs.install()
        home = Home.current()
        refuse_without_keys(home)
        bring_model(packing_bento(), home)
        sweep_sent_photos(home)
        try:
            begin_serving(home, lambda stored: require_fit(stored, home=home))
        except ModelError as error:
            raise BentoMLException(f"the recommender does not start: {error}") from error

    @bentoml.api
    def status(self) -> payloads.StatusResponse:
        """Which model and snapshot answer, and whether the stores are there."""
        environment, serving = Environment.current(), self._serving
        refused_model, reason = self._refused or (None, None)
        return payloads.StatusResponse(
            trained_at=serving.contract.trained_at,
            feature_service=serving.contract.feature_service,
            items=len(self.shelf),
            online_store="ready" if environment.online_ready(self.home) else "missing",
            registry="ready" if environment.registry_ready(self.home) else "missing",
            not_ready=list(self.not_ready()),
            refused_model=refused_model,
            refused_because=reason,
            **serving.versions(),
        )

    def _first_read(self, store: "Store") -> None:
        """Let Feast load the registry and connect now: a request's deadline is too short for it."""
        try:
            store.probe()
        except StoreLost as error:
            logger.error("starting without the online store: %s", error)


guarded(RecommenderService)


def model_tag() -> str:
    """The model to serve: COLDSTART_MODEL, else the chosen one, the Bento's, the latest."""
    named = os.environ.get(MODEL_VARIABLE)
    return named or served_tag(Home.current(), packed=packed_tag(packing_bento()))


def begin_serving(home: Home, load: Callable[[StoredModel], T]) -> Begun[T]:
    """The model to serve, loaded; one that was served before where it is corrupt."""
    return begin(home, tag=model_tag(), load=load, or_earlier=MODEL_VARIABLE not in os.environ)


def packing_bento() -> Any:
    """The Bento that this process serves; None where it serves a checkout."""
    return getattr(RecommenderService, "bento", None)

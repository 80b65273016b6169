"""The BentoML service: reads a person's features, asks the recommender, answers.

Nothing is ranked here and no feature is made here; see `coldstart_models.recommending`,
`coldstart_models.event_intake` and `coldstart_models.listings`. One worker: item vectors live
in a snapshot of this process, which new listings and events keep fresh.
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import bentoml
from bentoml.exceptions import BadInput, BentoMLException, NotFound, ServiceUnavailable

from bentos.recommender import measures, payloads, storefront
from bentos.recommender.packing import ProjectImage
from bentos.recommender.photos import PhotoRefused, keep_photo, photo_root, resolve_photo
from bentos.recommender.requests import Request
from bentos.recommender.shelf import Shelf
from coldstart_models.artifacts import LATEST, check_contract, find_model, observe_features
from coldstart_models.config import load_config
from coldstart_models.errors import ContractMismatch, ModelError, UnknownItem, UnknownUser
from coldstart_models.experiments.lanes import Lanes
from coldstart_models.intake import SERVICE_SOURCE
from feature_repo.environment import Environment
from feature_repo.errors import FeatureError
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.catalogue_reference import CatalogueReference
from feature_repo.page_log import PageLog, explored_exposures
from feature_repo.served_log import Served, ServedLog
from validation import tables

if TYPE_CHECKING:
    import pandas as pd

    from coldstart_models.recommending import Recommendation
    from coldstart_models.user_history import UserHistory

MODEL_VARIABLE: Final = "COLDSTART_MODEL"
FOLLOW_SECONDS: Final = 0.5
"""Between looks for events that a consumer took in."""
LONGEST_FOLLOW_SECONDS: Final = 60.0
"""The same while looking fails; doubled from failure to failure."""
logger = logging.getLogger("bentoml.coldstart")

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")


@bentoml.asgi_app(storefront.app, path="/")
@bentoml.service(
    name="coldstart_recommender",
    image=ProjectImage(lock_python_packages=False),
    workers=1,
    threads=4,
    traffic={"timeout": 60},
)
class RecommenderService:
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
        settings = load_config()
        self._rules = settings.gate.rules()
        self._served = ServedLog(self.home, share=settings.serve.logged_share)
        self._pages = PageLog(self.home)
        self._lanes = Lanes.of(
            settings,
            self.recommender,
            spent=lambda: explored_exposures(self.home),
            load=lambda tag: load_challenger(self.home, tag=tag),
        )
        self._catalogue = CatalogueReference(self.home)
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
    def recommend(self, params: payloads.RecommendRequest, /) -> payloads.RecommendResponse:
        """The k best listings for a user or a session; the popular ones for a stranger."""
        history = self._history(params, endpoint="recommend")
        request = Request.of(params, self._lanes, now=datetime.now(UTC))
        with measures.stage("recommend"), as_responses():
            found = request.lane.recommender.recommend(
                history,
                k=params.k,
                pool=params.pool,
                category=params.category,
                max_price=params.max_price,
                exclude=_excluded(params, history),
                personal=request.personal,
                turn=request.turn,
            )
        if self._lanes.logged:
            self._pages.keep(request.page(found))
        fallback: Literal["popular"] | None = None if history.item_ids else "popular"
        if fallback:
            measures.count_fallback("no history")
        return self._recommendations(found, fallback=fallback, request=request)

    @bentoml.api
    def score(self, params: payloads.ScoreRequest, /) -> payloads.ScoreResponse:
        """A person's score of each of up to 1,000 items, in the order asked."""
        history = self._known_history(params, endpoint="score")
        with measures.stage("score"), as_responses():
            scores = self.recommender.score(history, params.item_ids, personal=params.personal)
        named = zip(params.item_ids, scores, strict=True)
        return payloads.ScoreResponse(
            scores=[payloads.ItemScore(item_id=item, score=value) for item, value in named],
            **self._versions(),
        )

    @bentoml.api
    def explain(self, params: payloads.ExplainRequest, /) -> payloads.ExplainResponse:
        """The parts a score is the sum of, and one sentence."""
        history = self._known_history(params, endpoint="explain")
        with measures.stage("explain"), as_responses():
            told = self.recommender.explain(history, params.item_id, personal=params.personal)
        return payloads.ExplainResponse(
            item_id=told.item_id,
            score=told.score,
            sentence=told.sentence,
            contributions=[
                payloads.ContributionPart(
                    history_item_id=part.history_item_id, term=part.term, value=part.value
                )
                for part in told.contributions
            ],
            **self._versions(),
        )

    @bentoml.api
    def similar(self, params: payloads.SimilarRequest, /) -> payloads.SimilarResponse:
        """Listings most like one listing."""
        with measures.stage("similar"), as_responses():
            found = self.recommender.similar(params.item_id, k=params.k)
        return payloads.SimilarResponse(
            items=[payloads.ItemScore(item_id=item, score=value) for item, value in found],
            **self._versions(),
        )

    @bentoml.api
    def popular(self, params: payloads.PopularRequest, /) -> payloads.RecommendResponse:
        """What a person without any history is shown."""
        with measures.stage("popular"), as_responses():
            return self._recommendations(self.recommender.popular(k=params.k, pool=params.pool))

    @bentoml.api
    def events(self, params: payloads.EventsRequest, /) -> payloads.EventsResponse:
        """Take a batch of events in: gate, log, features, few-shot adaptation."""
        from coldstart_models.event_intake import take_events

        now = datetime.now(UTC)
        with measures.stage("events"), self._intake:
            taken = take_events(
                _event_frame(params.events, now=now),
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                rules=self._rules,
                now=now,
            )
        _count("events", taken.accepted, taken.quarantined, duplicates=len(taken.duplicates))
        measures.count_failed_checks("events", taken.quarantined)
        return payloads.EventsResponse(
            accepted=list(taken.accepted),
            duplicates=list(taken.duplicates),
            quarantined=[_rejected(row.id, row.reasons) for row in taken.quarantined],
            users=len(taken.user_ids),
            adapted=list(taken.adapted),
        )

    @bentoml.api
    def listings(self, params: payloads.ListingsRequest, /) -> payloads.ListingsResponse:
        """Take new listings in: gate, encode, push; recommendable when this returns."""
        from coldstart_models.listings import add_listings

        now = datetime.now(UTC)
        frame, refused = self._listing_frame(params.listings, now=now)
        with measures.stage("listings"), self._intake:
            result = add_listings(
                frame,
                home=self.home,
                store=self.store,
                recommender=self.recommender,
                encoders=self._warm_encoders(),
                rules=self._rules,
                catalogue=self._catalogue,
                now=now,
            )
        self.shelf.add(result.items)
        rejected = [*refused, *(_rejected(row.id, row.reasons) for row in result.quarantined)]
        _count("listings", result.accepted, rejected)
        measures.count_failed_checks("listings", [*result.quarantined, *result.warned])
        return payloads.ListingsResponse(
            accepted=list(result.accepted),
            quarantined=rejected,
            warnings=[_rejected(row.id, row.reasons) for row in result.warned],
            **self._versions(),
        )

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

    def _versions(self) -> dict[str, str]:
        return {"model": self.recommender.tag, "snapshot": self.recommender.snapshot_version}

    def _history(self, person: payloads.Person, *, endpoint: str) -> "UserHistory":
        """Stored history, then the session's events on top; empty where there is neither."""
        from coldstart_models.online_histories import extend_history

        stored = None
        if person.user_id is not None:
            with measures.stage("history"):
                stored = self._stored_history(person.user_id, endpoint=endpoint)
        now = datetime.now(UTC)
        return extend_history(
            stored,
            item_ids=[event.item_id for event in person.session],
            event_types=[event.event_type for event in person.session],
            timestamps=[event.event_timestamp or now for event in person.session],
        )

    def _stored_history(self, user_id: str, *, endpoint: str) -> "UserHistory | None":
        """What the online store holds; a sample of it is kept for `coldstart skew`."""
        from coldstart_models.online_histories import READ, histories_of, read_rows

        now, rows = datetime.now(UTC), read_rows([user_id], store=self.store)
        view = USER_HISTORY.name
        read = {name: rows[0][f"{view}__{name}"] for name in READ}
        self._served.keep(Served(now, endpoint, view, user_id, read))
        return histories_of([user_id], rows).get(user_id)

    def _known_history(self, person: payloads.Person, *, endpoint: str) -> "UserHistory":
        if person.user_id is None and not person.session:
            raise BadInput("give a user_id or a session: there is nobody to score for")
        history = self._history(person, endpoint=endpoint)
        if not history.item_ids:
            raise NotFound(
                f"no user {person.user_id!r} with events in the feature store; "
                "send events first, or give a session"
            )
        return history

    def _recommendations(
        self,
        found: "list[Recommendation]",
        *,
        fallback: Literal["popular"] | None = None,
        request: Request | None = None,
    ) -> payloads.RecommendResponse:
        new = sum(item.is_new for item in found)
        measures.count_recommended(new=new, known=len(found) - new)
        items = [
            payloads.RecommendedItem(
                item_id=item.item_id,
                score=item.score,
                is_new=item.is_new,
                support=item.support,
                deviation=item.deviation,
                reason=item.reason,
                propensity=item.propensity,
                explored=item.explored,
                **self.shelf.label(item.item_id),
            )
            for item in found
        ]
        told = self._versions()
        if request is not None:
            told["model"] = request.lane.recommender.tag
        return payloads.RecommendResponse(
            items=items,
            fallback=fallback,
            page_id=request.page_id if request and self._lanes.logged else None,
            variant=request.lane.variant if request else None,
            **told,
        )

    def _listing_frame(
        self, listings: list[payloads.Listing], *, now: datetime
    ) -> "tuple[pd.DataFrame, list[payloads.Rejected]]":
        """The listings as a raw items frame; those whose photo is refused stay out."""
        import pandas as pd

        root = photo_root(self.home)
        rows, refused = [], []
        for listing in listings:
            row = listing.model_dump(exclude={"photo_path", "photo_base64"})
            try:
                if listing.photo_base64 is not None:
                    row[tables.IMAGE_PATH] = str(keep_photo(listing.photo_base64, home=self.home))
                elif listing.photo_path is not None:
                    row[tables.IMAGE_PATH] = str(resolve_photo(listing.photo_path, root=root))
            except PhotoRefused as reason:
                refused.append(_rejected(listing.item_id, [str(reason)]))
                continue
            row[tables.LISTED_AT] = row[tables.LISTED_AT] or now
            rows.append({**row, tables.SOURCE: SERVICE_SOURCE})
        return pd.DataFrame(rows, columns=tables.ITEMS.names, dtype=object), refused

    def _warm(self) -> None:
        with self._intake:
            from validation import engine

            engine.context()  # Great Expectations takes seconds to import
            try:
                self._warm_encoders()
            except ServiceUnavailable as error:
                logger.error("%s", error)

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

        if is_behind(self.home):
            with self._intake:
                push_online(
                    self.home, self.store, recommender=self.recommender, now=datetime.now(UTC)
                )

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


@contextmanager
def as_responses() -> Iterator[None]:
    """Turn what the recommender does not know into a 404 that names it."""
    try:
        yield
    except (UnknownItem, UnknownUser) as error:
        raise NotFound(str(error)) from error


def _excluded(params: payloads.RecommendRequest, history: "UserHistory") -> set[str]:
    seen = set(history.item_ids) if params.exclude_seen else set()
    return seen | set(params.exclude)


def _event_frame(events: list[payloads.Event], *, now: datetime) -> "pd.DataFrame":
    import pandas as pd

    rows = [{**event.model_dump(), tables.SOURCE: SERVICE_SOURCE} for event in events]
    for row in rows:
        row[tables.EVENT_TIMESTAMP] = row[tables.EVENT_TIMESTAMP] or now
        row[tables.RECEIVED_AT] = now
    return pd.DataFrame(rows, columns=tables.EVENTS.names, dtype=object)


def _rejected(row_id: Any, reasons: Any) -> payloads.Rejected:
    return payloads.Rejected(id=None if row_id is None else str(row_id), reasons=list(reasons))


def _count(kind: str, accepted: Any, quarantined: Any, *, duplicates: int = 0) -> None:
    measures.count_intake(kind, outcome="accepted", rows=len(accepted))
    measures.count_intake(kind, outcome="quarantined", rows=len(quarantined))
    measures.count_intake(kind, outcome="duplicate", rows=duplicates)

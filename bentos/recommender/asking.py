"""What is asked about people and listings: recommend, score, explain, similar, popular."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import bentoml
from bentoml.exceptions import BadInput, NotFound

from bentos.recommender import measures, payloads
from bentos.recommender.observing import spans
from bentos.recommender.observing.request import keep_private
from bentos.recommender.payloads.asking import Fallback
from bentos.recommender.requests import Ranking, Request
from bentos.recommender.state import LOST_AGAIN, Serving, State, as_responses, logger, not_now
from coldstart_models.arranging import Arrangement
from feature_repo.errors import StoreLost
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.served_log import Served

if TYPE_CHECKING:
    from coldstart_models.recommendations import Recommendation
    from coldstart_models.recommending import Recommender
    from coldstart_models.user_history import UserHistory


class Asking(State):
    """Endpoints that change nothing."""

    @bentoml.api
    def recommend(self, params: payloads.RecommendRequest, /) -> payloads.RecommendResponse:
        """The k best listings for a user or a session; the popular ones for a stranger."""
        serving, shown = self._serving, self._cursors.shown(params)
        history, lost = self._history(params, endpoint="recommend")
        request = Request.of(params, serving.lanes, now=self._clock.now())
        events = len(history.item_ids)
        rank = measures.stage("recommend", span="rank", k=params.k, pool=params.pool, events=events)
        with rank, as_responses():
            found = request.lane.recommender.recommend(
                history,
                k=params.k,
                pool=params.pool,
                category=params.category,
                min_price=params.min_price,
                max_price=params.max_price,
                available=params.available,
                exclude=_excluded(params, history),
                shown=shown,
                personal=request.personal,
                turn=request.turn,
                arrangement=Arrangement(params.diversity, params.freshness),
            )
        if serving.lanes.logged:
            with unless_full("pages"):
                self._pages.keep(request.page(found))
        fallback = _fallback(request.lane.recommender, history, lost=lost)
        if fallback == "popular":
            measures.count_fallback("not served" if history.item_ids else "no history")
        elif fallback:
            measures.count_fallback(fallback)
        answer = self._recommendations(found, serving, fallback=fallback, request=request)
        if len(found) == params.k:
            answer.next = self._cursors.after(params, [*shown, *(one.item_id for one in found)])
        return answer

    @bentoml.api
    def score(self, params: payloads.ScoreRequest, /) -> payloads.ScoreResponse:
        """A person's score of each of up to 1,000 items, in the order asked."""
        serving = self._serving
        history, lost = self._known_history(params, endpoint="score")
        ranking = Ranking.of(params, serving.lanes)
        recommender = ranking.lane.recommender
        with measures.stage("score", span="rank", items=len(params.item_ids)), as_responses():
            scores = recommender.scored(
                history, params.item_ids, pool=params.pool, personal=ranking.personal
            )
        named = zip(params.item_ids, scores, strict=True)
        return payloads.ScoreResponse(
            scores=[
                payloads.UnsureScore(item_id=item, score=one.score, deviation=one.deviation)
                for item, one in named
            ],
            fallback=_fallback(recommender, history, lost=lost),
            **serving.versions(recommender),
        )

    @bentoml.api
    def explain(self, params: payloads.ExplainRequest, /) -> payloads.ExplainResponse:
        """The parts a score is the sum of, and one sentence."""
        serving = self._serving
        history, lost = self._known_history(params, endpoint="explain")
        ranking = Ranking.of(params, serving.lanes)
        recommender = ranking.lane.recommender
        with measures.stage("explain"), as_responses():
            told = recommender.explain(
                history, params.item_id, pool=params.pool, personal=ranking.personal
            )
        return payloads.ExplainResponse(
            item_id=told.item_id,
            score=told.score,
            deviation=told.deviation,
            sentence=told.sentence,
            contributions=[
                payloads.ContributionPart(
                    history_item_id=part.history_item_id, term=part.term, value=part.value
                )
                for part in told.contributions
            ],
            fallback=_fallback(recommender, history, lost=lost),
            **serving.versions(recommender),
        )

    @bentoml.api
    def similar(self, params: payloads.SimilarRequest, /) -> payloads.SimilarResponse:
        """Listings most like one listing."""
        serving = self._serving
        with measures.stage("similar", span="rank", k=params.k), as_responses():
            found = serving.recommender.similar(params.item_id, k=params.k)
        return payloads.SimilarResponse(
            items=[payloads.ItemScore(item_id=item, score=value) for item, value in found],
            **serving.versions(),
        )

    @bentoml.api
    def popular(self, params: payloads.PopularRequest, /) -> payloads.RecommendResponse:
        """What a person without any history is shown."""
        serving = self._serving
        with measures.stage("popular", span="rank", k=params.k), as_responses():
            found = serving.recommender.popular(k=params.k, pool=params.pool)
        return self._recommendations(found, serving)

    def _history(self, person: payloads.Person, *, endpoint: str) -> "tuple[UserHistory, bool]":
        """Stored history, then the session's events on top; empty where there is neither.

        And whether the online store was lost, so that what it holds is missing.
        """
        from coldstart_models.online_histories import extend_history

        stored, lost = None, False
        if person.user_id is not None:
            keep_private([person.user_id])
            with measures.stage("history", endpoint=endpoint):
                try:
                    stored = self._stored_history(person.user_id, endpoint=endpoint)
                except StoreLost as error:
                    lost = True
                    measures.count_degraded(endpoint, reason="store")
                    logger.warning("answered without the online store: %s", error)
                spans.describe(lost=lost, events=len(stored.item_ids) if stored else 0)
        now = self._clock.now()
        session = extend_history(
            stored,
            item_ids=[event.item_id for event in person.session],
            event_types=[event.event_type for event in person.session],
            timestamps=[event.event_timestamp or now for event in person.session],
        )
        return session, lost

    def _stored_history(self, user_id: str, *, endpoint: str) -> "UserHistory | None":
        """What the online store holds; a sample of it is kept for `coldstart skew`."""
        from coldstart_models.online_histories import READ, histories_of, read_rows

        now, rows = self._clock.now(), read_rows([user_id], store=self.store)
        view = USER_HISTORY.name
        read = {name: rows[0][f"{view}__{name}"] for name in READ}
        with unless_full("requests"):
            self._served.keep(Served(now, endpoint, view, user_id, read))
        return histories_of([user_id], rows).get(user_id)

    def _known_history(
        self, person: payloads.Person, *, endpoint: str
    ) -> "tuple[UserHistory, bool]":
        if person.user_id is None and not person.session:
            raise BadInput("give a user_id or a session: there is nobody to score for")
        history, lost = self._history(person, endpoint=endpoint)
        if not history.item_ids and lost:
            told = "the online store does not answer, and the request has no session to go by"
            raise not_now("store", told, retry_after=LOST_AGAIN)
        if not history.item_ids:
            raise NotFound(
                f"no user {person.user_id!r} with events in the feature store; "
                "send events first, or give a session"
            )
        return history, lost

    def _recommendations(
        self,
        found: "list[Recommendation]",
        serving: Serving,
        *,
        fallback: Fallback | None = None,
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
        return payloads.RecommendResponse(
            items=items,
            fallback=fallback,
            page_id=request.page_id if request and serving.lanes.logged else None,
            variant=request.lane.variant if request else None,
            **serving.versions(request.lane.recommender if request else None),
        )


def _fallback(recommender: "Recommender", history: "UserHistory", *, lost: bool) -> Fallback | None:
    """What an answer is to say that is not as personal as it could be."""
    if lost:
        return "store"
    return None if recommender.knows(history) else "popular"


def _excluded(params: payloads.RecommendRequest, history: "UserHistory") -> set[str]:
    seen = set(history.item_ids) if params.exclude_seen else set()
    return seen | set(params.exclude)


@contextmanager
def unless_full(log: str) -> Iterator[None]:
    """Write to a log of what was served; where it takes nothing, the answer goes out all the same.

    What is missing from it is counted.
    """
    try:
        yield
    except OSError as error:
        measures.count_unlogged(log)
        logger.warning("what was served is not in the log of %s: %s", log, error)

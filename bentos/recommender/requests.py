"""Who asks: by which lane they are served, and what the log keeps of a page."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from coldstart_models.experiments.lanes import Lane, Lanes
from coldstart_models.exploration.exploring import Turn
from feature_repo.page_log import ServedPage

if TYPE_CHECKING:
    from bentos.recommender.payloads import Ranked, RecommendRequest
    from coldstart_models.recommendations import Recommendation


@dataclass(frozen=True, slots=True)
class Ranking:
    """How one person's scores come about: the same for a page as for what is asked about it."""

    lane: Lane
    personal: float | None

    @classmethod
    def of(cls, params: "Ranked", lanes: Lanes) -> "Ranking":
        """A request's own `personal` goes before its variant's."""
        lane = lanes.lane_of(params.user_id or params.session_id)
        return cls(lane, lane.personal if params.personal is None else params.personal)


@dataclass(frozen=True, slots=True)
class Request:
    """A page that is being made."""

    page_id: str
    now: datetime
    user_id: str | None
    session_id: str | None
    lane: Lane
    personal: float | None
    turn: Turn | None
    """None where nothing is explored."""

    @classmethod
    def of(cls, params: "RecommendRequest", lanes: Lanes, *, now: datetime) -> "Request":
        """As `Ranking`, and with a turn of exploration where the lane explores."""
        ranking = Ranking.of(params, lanes)
        lane, page_id = ranking.lane, uuid.uuid4().hex
        return cls(
            page_id,
            now,
            params.user_id,
            None if params.user_id else params.session_id,
            lane,
            ranking.personal,
            lane.explorer.turn(page_id) if lane.explorer else None,
        )

    def page(self, found: "Sequence[Recommendation]") -> ServedPage:
        """What the log keeps."""
        made = ServedPage(
            page_id=self.page_id,
            served_at=self.now,
            user_id=self.user_id,
            session_id=self.session_id,
            model=self.lane.recommender.tag,
            policy=self.lane.policy_id,
            experiment=self.lane.experiment,
            variant=self.lane.variant,
            personal=self.personal,
            item_ids=tuple(one.item_id for one in found),
            propensities=tuple(one.propensity for one in found),
        )
        page, field = (self.turn.page, self.turn.field) if self.turn else (None, None)
        if page is None or field is None or not page.places:
            return made
        return replace(
            made,
            explored=tuple(place + 1 for place in page.places),
            drawn=page.drawn,
            arm_ids=tuple(field.item_ids[page.arm_columns]),
            arm_scores=page.arms.scores,
            arm_directions=page.arms.directions,
        )

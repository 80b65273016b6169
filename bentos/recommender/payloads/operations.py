"""What the operations page shows, and which model answers."""

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from bentos.recommender.payloads.shapes import VERSIONS, answered

READ_AT: Final = "2026-03-01T12:00:00Z"


class GateRun(BaseModel):
    checked_at: datetime
    source: str
    table: str
    step: str = Field(description="what the gate stood in front of: ingest, listings, extract …")
    verdict: str = Field(description="pass, warn or quarantined")
    received: int
    accepted: int
    quarantined: int
    warnings: int
    checks: dict[str, int] = Field(description="failed check → rows, most first")


class HeldRows(BaseModel):
    table: str
    source: str
    check: str
    rows: int


class ReportFile(BaseModel):
    name: str
    path: str = Field(description="on this server")
    about: str = Field(description="gate or evaluation")
    written_at: datetime


class GateState(BaseModel):
    runs: list[GateRun] = Field(description="the newest first")
    held: int = Field(description="rows in quarantine")
    held_by_check: list[HeldRows] = Field(description="a row counts under each check it failed")
    reports: list[ReportFile]


class FeatureState(BaseModel):
    view: str
    rows: int
    newest: datetime | None = Field(description="from when on its newest row was known")
    materialized_to: datetime | None
    made_by: str = Field(description="the job that fills it")
    made_at: datetime | None
    stale: bool = Field(description="has rows that are not online, or was rewritten since")


class FeaturesState(BaseModel):
    read_at: datetime
    views: list[FeatureState]
    do_next: list[str] = Field(description="what changed after a later step had read it")


class ColdListings(BaseModel):
    least: int = Field(description="people who chose each of them, from")
    most: int | None = Field(description="to, both included; unset without an upper bound")
    listings: int
    impressions: int = Field(description="that they have had together")


class ColdState(BaseModel):
    read_at: datetime = Field(description="of people and impressions, which `aggregate` counts")
    listings: int = Field(description="that are ranked now")
    new: int = Field(description="of these, recommended as new")
    unseen: int = Field(description="of all, without any event")
    learned: int = Field(description="new ones that have learned from first customers")
    groups: list[ColdListings] = Field(description="by people, fewest first")


class VariantState(BaseModel):
    name: str
    share: float = Field(description="of the experiment's people, as configured")
    model: str
    policy: str | None = Field(description="of exploration")
    personal: float | None
    pages: int
    people: int = Field(description="distinct users and, without one, sessions")


class ExperimentState(BaseModel):
    name: str
    share: float = Field(description="of all people, that take part")
    variants: list[VariantState] = Field(description="the first is what others are compared with")


class AnsweringState(BaseModel):
    """Since this process started."""

    started_at: datetime
    recommended_new: int = Field(description="places of pages that went to new listings")
    recommended_known: int
    fallbacks: dict[str, int] = Field(description="answers that were not personal, by reason")
    follow_failures: int = Field(description="looks for events of other processes that failed")


class OperationsResponse(BaseModel):
    """The state of gate, features, catalogue and experiments; a few seconds old at most."""

    model_config = answered(
        {
            "read_at": READ_AT,
            **VERSIONS,
            "trained_at": "2026-03-01T04:00:00Z",
            "policy": "thompson",
            "gate": {
                "runs": [
                    {
                        "checked_at": "2026-03-01T11:58:00Z",
                        "source": "service",
                        "table": "items",
                        "step": "listings",
                        "verdict": "quarantined",
                        "received": 2,
                        "accepted": 1,
                        "quarantined": 1,
                        "warnings": 0,
                        "checks": {"price_not_negative": 1},
                    }
                ],
                "held": 1,
                "held_by_check": [
                    {
                        "table": "items",
                        "source": "service",
                        "check": "price_not_negative",
                        "rows": 1,
                    }
                ],
                "reports": [],
            },
            "features": {
                "read_at": READ_AT,
                "views": [
                    {
                        "view": "item_vector",
                        "rows": 2000,
                        "newest": "2026-03-01T11:58:00Z",
                        "materialized_to": "2026-03-01T11:59:00Z",
                        "made_by": "train",
                        "made_at": "2026-03-01T04:00:00Z",
                        "stale": False,
                    }
                ],
                "do_next": [],
            },
            "cold": {
                "read_at": READ_AT,
                "listings": 2000,
                "new": 202,
                "unseen": 40,
                "learned": 61,
                "groups": [{"least": 0, "most": 0, "listings": 40, "impressions": 0}],
            },
            "experiment": {
                "name": "blend",
                "share": 0.5,
                "variants": [
                    {
                        "name": "as learned",
                        "share": 1.0,
                        "model": VERSIONS["model"],
                        "policy": None,
                        "personal": None,
                        "pages": 310,
                        "people": 92,
                    }
                ],
            },
            "answering": {
                "started_at": "2026-03-01T04:05:00Z",
                "recommended_new": 2800,
                "recommended_known": 300,
                "fallbacks": {"no history": 12},
                "follow_failures": 0,
            },
        }
    )

    read_at: datetime
    model: str
    snapshot: str
    trained_at: datetime
    refused_model: str | None = Field(
        default=None, description="a model that was to be served and is not"
    )
    refused_because: str | None = Field(default=None, description="why it is not")
    policy: str | None = Field(description="of exploration, outside experiments")
    gate: GateState
    features: FeaturesState
    cold: ColdState
    experiment: ExperimentState | None
    answering: AnsweringState


class StatusResponse(BaseModel):
    model_config = answered(
        {
            **VERSIONS,
            "trained_at": "2026-03-01T04:00:00Z",
            "feature_service": "coldstart_v1",
            "items": 2000,
            "online_store": "ready",
            "registry": "ready",
            "not_ready": [],
        }
    )

    model: str
    snapshot: str
    trained_at: datetime
    feature_service: str
    items: int = Field(description="listings of the catalogue")
    online_store: Literal["ready", "missing"]
    registry: Literal["ready", "missing"]
    refused_model: str | None = Field(
        default=None, description="the model that was chosen and is not served"
    )
    refused_because: str | None = Field(default=None, description="why it is not")
    not_ready: list[str] = Field(
        default_factory=list, description="why `/readyz` is 503; empty where it is 200"
    )

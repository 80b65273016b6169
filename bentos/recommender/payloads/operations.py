"""What the operations page shows."""

from datetime import datetime

from pydantic import BaseModel, Field


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

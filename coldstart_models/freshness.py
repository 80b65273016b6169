"""How fresh features are, and which step is to be run again because of what changed after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.home import Home

if TYPE_CHECKING:
    from coldstart_models.artifacts import StoredModel
    from feature_repo.store import Store


@dataclass(frozen=True, slots=True)
class ViewFreshness:
    """One registered view beside what is online of it."""

    name: str
    rows: int
    newest: datetime | None
    """From when on its newest row was known."""
    materialized_to: datetime | None
    stale: bool
    """It has rows that no materialization covers, or was rewritten since."""


def registered_views(store: "Store") -> tuple[ViewFreshness, ...]:
    """Every registered view by name. Raises NotApplied."""
    return tuple(
        ViewFreshness(
            name=view.name,
            rows=view.rows,
            newest=view.newest,
            materialized_to=view.materialized[1] if view.materialized else None,
            stale=view.stale,
        )
        for view in store.registered().views
    )


def to_do(home: Home, models: "Sequence[StoredModel]") -> list[str]:
    """What was changed after a later step read it, each with the command that mends it."""
    from coldstart_models.artifacts import check_contract, observe_features
    from coldstart_models.errors import ContractMismatch
    from feature_repo.event_log import event_log
    from feature_repo.feature_tables import USER_HISTORY

    history = home.feature_table(USER_HISTORY.name)
    listed = home.items.stat().st_mtime if home.items.exists() else 0.0
    changed = max(listed, event_log(home).changed_at())
    steps = []
    if history.exists() and changed > history.stat().st_mtime:
        steps.append("the catalogue or the log changed after `coldstart aggregate`")
    if models and history.exists() and models[-1].created_at.timestamp() < history.stat().st_mtime:
        steps.append("the features changed after `coldstart train`")
    try:
        if models:
            check_contract(models[-1].contract, observe_features(home))
    except ContractMismatch as mismatch:
        steps.append(str(mismatch))
    return steps

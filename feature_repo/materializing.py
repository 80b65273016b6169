"""One view's rows brought online, its snapshot beside them, and what was pushed meanwhile."""

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final

from feature_repo import online_abilities
from feature_repo.encoder_tables import unserved_rows
from feature_repo.feature_tables import PUSH_SUFFIX
from feature_repo.home import Home
from feature_repo.late_rows import TableBefore, table_before
from feature_repo.lineage import FROM_EVENTS, lineage_of
from feature_repo.offline_tables import extent, feature_table, latest_rows, locked
from feature_repo.opened_feast import without_notices
from feature_repo.snapshot_state import snapshot_state
from feature_repo.store_faults import as_store_lost
from feature_repo.store_results import MaterializedView
from feature_repo.vector_snapshot import VIEWS as SNAPSHOT_VIEWS
from feature_repo.vector_snapshot import write_snapshot

log = logging.getLogger(__name__)

LATE_AT_ONCE: Final = 5_000
"""Rows of one push."""


def materialize_view(
    feast: Any, home: Home, view: str, *, start: datetime | None, end: datetime | None
) -> MaterializedView:
    """Write each entity's latest row in [start, end] online; by default the table's own range.

    With the whole range the view's snapshot is written anew, and what was pushed or deleted while
    the rows were read stays pushed or deleted.
    """
    held = extent(home, view, start=start, end=end)
    if held.start is None or held.end is None:
        return MaterializedView(view, 0, 0.0, None, None)
    first, last = start or held.start, end or held.end
    whole = start is None and end is None
    began = time.perf_counter()
    registered = feast.get_feature_view(view)
    path = home.feature_table(view)
    with table_before(path, feature_table(view)) as before, without_notices():
        feast._get_provider().materialize_single_feature_view(
            config=feast.config,
            feature_view=registered,
            # Feast compares whole seconds in places; a second more never adds a row here.
            start_date=first - timedelta(seconds=1),
            end_date=last,
            registry=feast.registry,
            project=feast.project,
            tqdm_builder=lambda length: None,
        )
        unserved = unserved_rows(home, view)
        if unserved.num_rows:  # what only an encoder that served earlier has is null now
            feast._get_provider().ingest_df(registered, unserved.to_pandas())
        if whole:
            _bring_late(feast, home, view, before)
    registered.tags.update(lineage_of(home, view).tags())
    feast.registry.apply_feature_view(registered, feast.project)
    feast.registry.apply_materialization(registered, feast.project, first, last)
    if view in SNAPSHOT_VIEWS and whole:
        with locked(path):
            mirrored = snapshot_state(home, view)
            if mirrored is None or mirrored.patches:
                write_snapshot(home, view)
    seconds = time.perf_counter() - began
    log.info("materialized %d rows of %s in %.1f s", held.keys, view, seconds)
    return MaterializedView(view, held.keys, seconds, first, last)


def _bring_late(feast: Any, home: Home, view: str, before: TableBefore) -> None:
    """Write again what was pushed meanwhile, and delete again what was deleted.

    Rows made of events are left to who pushes again what the log says (`lineage.FROM_EVENTS`).
    """
    with locked(before.path):
        came, went = before.changes()
        for first in range(0, len(came) if view not in FROM_EVENTS else 0, LATE_AT_ONCE):
            rows = latest_rows(home, view, keys=came[first : first + LATE_AT_ONCE])
            with as_store_lost():
                feast.push_rows(f"{view}{PUSH_SUFFIX}", rows)
        if went and online_abilities.can_remove(feast):
            online_abilities.remove(feast, [view], went)

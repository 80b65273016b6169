"""The one client of Feast: register, read point-in-time, read online, push, materialize.

Feast takes seconds to import, so it is imported when a store is first used.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from feature_repo import one_view, online_abilities
from feature_repo.encoder_tables import served_rows
from feature_repo.environment import POSTGRES, Environment
from feature_repo.errors import NotApplied, StoreError, StoreLost, UnknownFeature
from feature_repo.feature_tables import (
    AS_OF_US,
    CATEGORY_ID,
    FEATURE_TABLES,
    ITEM_VECTOR,
    PUSH_SUFFIX,
    USER_HISTORY,
    create_missing,
)
from feature_repo.home import Home
from feature_repo.lineage import keys_with_events
from feature_repo.log_state import Position
from feature_repo.materializing import materialize_view
from feature_repo.offline_tables import (
    append_rows,
    extent,
    feature_table,
    latest_rows,
    newest_keys,
    read_vectors,
    replace_rows,
    to_rows,
)
from feature_repo.on_demand_features import ON_DEMAND_TABLES
from feature_repo.opened_feast import open_feast, without_notices
from feature_repo.read_back import Count, ReadBack, differences, shortfall
from feature_repo.store_faults import as_store_lost
from feature_repo.store_results import (
    MaterializedView,
    MaterializeResult,
    PushTo,
    Registered,
    RegisteredView,
)
from feature_repo.unchecked_feast import unchecked
from feature_repo.vector_snapshot import Vectors
from validation import tables

__all__ = [
    "MaterializeResult",
    "MaterializedView",
    "PushTo",
    "Registered",
    "RegisteredView",
    "Store",
]

log = logging.getLogger(__name__)

DEFAULT_CHUNK = 5_000
KNOWN = frozenset(
    f"{table.name}:{column.name}" for table in FEATURE_TABLES.values() for column in table.features
)
"""References of every stored feature."""
NOBODY = "coldstart:nobody"
"""The user whose features `probe` asks for."""
_PROBED = f"{USER_HISTORY.name}:history_item_ids"
_VECTOR = f"{ITEM_VECTOR.name}:model"
_ROW = "coldstart_row"
_EPOCH = pd.Timestamp("1970-01-01", tz="UTC")

Progress = Callable[[int, int], None]
Features = str | Sequence[str]
"""A feature service's name, or references such as ``user_history:price_mean``."""


class Store:
    """Feast on one state folder.

    Features are named ``view__feature`` wherever they come back, so that two views may
    share a feature's name.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self._applied = False
        self._online_views: dict[str, Any] = {}

    def apply(self) -> Registered:
        """Register every definition, create what is missing, delete what is no longer defined."""
        from feature_repo.feature_definitions import definitions

        create_missing(self.home)
        defined = definitions(self.home, offline=self._environment.offline)
        self._bring_offline()
        with without_notices():
            self._feast.apply(
                list(defined.values()),
                objects_to_delete=self._registered_beyond(set(defined)),
                partial=False,
            )
        self.__dict__.pop("_services", None)
        self._online_views.clear()
        return self.registered()

    def require_applied(self) -> None:
        """Raise NotApplied or StoreError where there is nothing to read."""
        if self._applied:
            return
        if not self.home.root.is_dir():
            raise StoreError(
                f"there is no state folder {self.home.root}; run `coldstart ingest SOURCE`, or "
                "point COLDSTART_HOME at the folder that has one"
            )
        ready = self._environment.registry_ready(self.home)
        if not ready or not self._feast.list_feature_views():
            raise NotApplied(
                f"no features are registered in {self.home.root}; run `coldstart apply`"
            )
        self._applied = True

    def historical(
        self,
        entities: pd.DataFrame,
        features: Features,
        *,
        chunk: int = DEFAULT_CHUNK,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """The features each row could have known at its `event_timestamp`.

        Args:
            entities: `event_timestamp` (time-zone aware) and the ids that the features need;
                other columns are kept.
            chunk: rows per query; bounds the memory of the join.

        Returns:
            The rows as given, same order, index and duplicates, with a column
            ``view__feature`` for each feature; null where nothing was known yet.
        """
        asked = self._asked(entities, features)
        self._bring_offline()
        if asked.empty:
            return entities.assign(
                **{name: pd.Series(dtype=object) for name in self._names(features)}
            )
        by_key = asked.sort_values([name for name in asked.columns if name != _ROW])
        parts = []
        for first in range(0, len(by_key), chunk):
            part = by_key.iloc[first : first + chunk]
            parts.append(self._point_in_time(part, features))
            if progress:
                progress(min(first + chunk, len(by_key)), len(by_key))
        found = pd.concat(parts).set_index(_ROW).sort_index()
        found.index = entities.index
        columns = [name for name in found.columns if name not in asked.columns]
        return pd.concat([entities, found[columns]], axis=1)

    def online(
        self,
        features: Features,
        entity_rows: Sequence[Mapping[str, Any]],
        *,
        now: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """The latest online values, one dict a row in order; None where nothing is known.

        Args:
            entity_rows: ids by name, e.g. ``[{"user_id": "u1", "item_id": "7"}]``.
            now: needed when features of the on-demand view are asked for.

        Raises StoreLost where the online store does not answer.
        """
        self.require_applied()
        rows = [dict(row) for row in entity_rows]
        if not rows:
            return []
        name = one_view.view_of(features)
        if name is not None and one_view.names_entities(rows, name):
            references = self._resolved(features)
            with as_store_lost():
                return one_view.read(self._feast, self._online_view(name), references, rows)
        if self._needs_moment(features) and AS_OF_US not in rows[0]:
            if now is None:
                raise StoreError(
                    f"features of {', '.join(ON_DEMAND_TABLES)} need the moment: pass now="
                )
            moment = int((pd.Timestamp(now) - _EPOCH) // pd.Timedelta(microseconds=1))
            rows = [{**row, AS_OF_US: moment} for row in rows]
        with as_store_lost():
            answer = self._feast.get_online_features(
                features=self._resolved(features), entity_rows=rows, full_feature_names=True
            ).to_dict()
        return [
            {name: _plain(values[index]) for name, values in answer.items()}
            for index in range(len(rows))
        ]

    def _online_view(self, name: str) -> Any:
        """A view as it is registered, looked up once until the next `apply`."""
        if name not in self._online_views:
            self._online_views[name] = self._feast.get_feature_view(name)
        return self._online_views[name]

    def push(
        self, view: str, frame: pd.DataFrame, *, now: datetime, to: PushTo | str = PushTo.BOTH
    ) -> None:
        """Add rows of one view online, offline or both; the frame has the table's columns.

        The offline file is rewritten under a lock, so push offline in batches. Embeddings by an
        encoder that does not serve are kept in its own table, and do not go online. Raises
        StoreLost where the online store does not take them.
        """
        self.require_applied()
        rows, target = to_rows(frame, view=view, now=now), PushTo(to)
        if not rows.num_rows:
            return
        if target is not PushTo.ONLINE:
            append_rows(rows, home=self.home, view=view)
        served = served_rows(rows, home=self.home, view=view)
        if served.num_rows < rows.num_rows:
            log.warning(
                "%d of %d rows of %s are of an encoder that does not serve; they stay offline",
                rows.num_rows - served.num_rows,
                rows.num_rows,
                view,
            )
        if target is not PushTo.OFFLINE and served.num_rows:
            with as_store_lost():
                self._feast.push_rows(f"{view}{PUSH_SUFFIX}", served)

    def knows(self, view: str) -> bool:
        """Whether a view of this name is registered."""
        return any(one.name == view for one in self._feast.list_feature_views())

    def probe(self, item_ids: Sequence[str] = ()) -> bool:
        """Whether any of some listings has a vector online, of whatever model; in one read.

        True without listings: then the features of nobody are read. Raises StoreLost where the
        online store is not there.
        """
        self.require_applied()
        if not self._environment.online_ready(self.home):
            raise StoreLost(f"the online store {self.home.online_store} is not there")
        if not item_ids:
            self.online([_PROBED], [{tables.USER_ID: NOBODY}])
            return True
        found = self.online([_VECTOR], [{tables.ITEM_ID: one} for one in item_ids])
        return any(row[_VECTOR.replace(":", "__")] is not None for row in found)

    def wait_at_most(self, seconds: float) -> None:
        """Have the online store's client give up sooner than suits a job, as a service must.

        Heard by SQLite (another process's lock) and Redis (an answer that does not come).
        """
        online_abilities.wait_at_most(self._feast, seconds)

    def read_within(self, seconds: float) -> bool:
        """Have reads that `reads_one` names give up by themselves; whether the store can do so.

        Redis can. Others' clients cannot be told to hurry.
        """
        return online_abilities.read_within(self._feast, seconds)

    def remove_online(self, views: Sequence[str], keys: Sequence[str]) -> None:
        """Delete some entities' values of views of one key from the online store for good."""
        self.require_applied()
        online_abilities.remove(self._feast, views, keys)

    def forget_deleted(self) -> list[str]:
        """Free what deleted values took, where the online store would keep their bytes; and let
        an offline store that holds copies of the tables load them anew.

        Returns what still keeps them for a while, a sentence each. Raises StoreLost.
        """
        left = online_abilities.forget_deleted(self._feast)
        self._bring_offline()
        return left

    def replace(self, view: str, frame: pd.DataFrame, *, now: datetime) -> None:
        """Make these rows the view's whole offline table; `materialize` brings them online."""
        replace_rows(to_rows(frame, view=view, now=now), home=self.home, view=view)

    def vectors(self, view: str) -> Vectors:
        """Every item's newest vector, read from the offline table in one go."""
        return read_vectors(self.home, view)

    def time_range(self, views: Sequence[str] | None = None) -> tuple[datetime, datetime] | None:
        """First and last event time of the offline tables; None if all are empty."""
        extents = [extent(self.home, view) for view in self._views(views)]
        starts = [part.start for part in extents if part.start is not None]
        ends = [part.end for part in extents if part.end is not None]
        return (min(starts), max(ends)) if starts and ends else None

    def materialize(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        views: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> MaterializeResult:
        """Write each entity's latest row in [start, end] online; by default each table's range."""
        self.require_applied()
        self._bring_offline()
        names = self._views(views)
        done = []
        for count, view in enumerate(names, start=1):
            done.append(materialize_view(self._feast, self.home, view, start=start, end=end))
            if progress:
                progress(count, len(names))
        return MaterializeResult(tuple(done))

    def read_back(
        self,
        *,
        views: Sequence[str] | None = None,
        sample: int = 20,
        seed: int = 0,
        start: datetime | None = None,
        end: datetime | None = None,
        since: Position | None = None,
    ) -> ReadBack:
        """Count the entities online, and compare a sample with their newest offline row, exactly.

        Args:
            start: that of the materialization, where it had any.
            end: likewise.
            since: how far of the log the offline tables reached. An entity with later events is not
                compared: whoever took these in made its online row newer.
        """
        self.require_applied()
        checked, found, counts = 0, [], {}
        for view in self._views(views):
            table = feature_table(view)
            keys = newest_keys(self.home, view, start=start, end=end)
            counts[view] = Count(len(keys), online_abilities.count(self._feast, view, keys))
            found += shortfall(view, counts[view])
            still = sorted(set(keys) - keys_with_events(self.home, view, since=since))
            size = min(sample, len(still))
            chosen = np.random.default_rng(seed).choice(len(still), size, replace=False)
            asked = [still[number] for number in np.sort(chosen)]
            rows = latest_rows(self.home, view, start=start, end=end, keys=asked).to_pylist()
            online = self.online(
                [f"{view}:{column.name}" for column in table.features],
                [{table.key: row[table.key]} for row in rows],
            )
            # An event is in the log before it is online, so who moved meanwhile is known now.
            moved = keys_with_events(self.home, view, since=since)
            stood = [row[table.key] not in moved for row in rows]
            checked += sum(stood)
            found += differences(
                list(compress(rows, stood)), list(compress(online, stood)), table=table
            )
        return ReadBack(checked, tuple(found), counts)

    def registered(self) -> Registered:
        """What is registered, what is online and what is stale."""
        self.require_applied()
        feast = self._feast
        return Registered(
            project=feast.project,
            views=tuple(
                self._registered_view(view)
                for view in sorted(feast.list_feature_views(), key=lambda view: view.name)
            ),
            on_demand=tuple(view.name for view in feast.list_on_demand_feature_views()),
            services=self._services,
        )

    @cached_property
    def _services(self) -> dict[str, tuple[str, ...]]:
        """Feature service → its features as ``view__feature``."""
        return {
            service.name: tuple(
                f"{projection.name}__{feature.name}"
                for projection in service.feature_view_projections
                for feature in projection.features
            )
            for service in self._feast.list_feature_services()
        }

    @cached_property
    def _environment(self) -> Environment:
        return Environment.current()

    @cached_property
    def _feast(self) -> Any:
        with unchecked():
            return open_feast(self.home, self._environment)

    def _bring_offline(self) -> None:
        """Load what has changed into an offline store that does not read the files themselves."""
        if self._environment.offline == POSTGRES:
            from feature_repo.postgres_tables import load_changed

            loaded = load_changed(self.home, settings=self._environment.values["offline_store"])
            if loaded:
                log.info("loaded %s into PostgreSQL", ", ".join(loaded))

    def _registered_beyond(self, defined: set[str]) -> list[Any]:
        feast = self._feast
        registered = [
            *feast.list_feature_services(),
            *feast.list_on_demand_feature_views(),
            *feast.list_feature_views(),
        ]
        return [known for known in registered if known.name not in defined]

    def _registered_view(self, view: Any) -> RegisteredView:
        held = extent(self.home, view.name)
        intervals = view.materialization_intervals
        last = max(intervals, key=lambda interval: interval[1]) if intervals else None
        path = self.home.feature_table(view.name)
        # A switch of encoders changes the link, not what it points to.
        changed = max(path.stat().st_mtime, path.lstat().st_mtime) if held.rows else 0.0
        written = view.last_updated_timestamp
        rewritten = written is not None and changed > written.replace(tzinfo=UTC).timestamp()
        return RegisteredView(
            name=view.name,
            features=tuple(feature.name for feature in view.features),
            rows=held.rows,
            keys=held.keys,
            newest=held.end,
            materialized=last,
            stale=bool(held.rows) and (last is None or rewritten),
        )

    def _views(self, views: Sequence[str] | None) -> list[str]:
        return [feature_table(view).name for view in (FEATURE_TABLES if views is None else views)]

    def _needs_moment(self, features: Features) -> bool:
        return any(name.split("__")[0] in ON_DEMAND_TABLES for name in self._names(features))

    def _names(self, features: Features) -> list[str]:
        """Column names of the features."""
        if isinstance(features, str):
            if features not in self._services:
                raise UnknownFeature(
                    f"there is no feature service {features!r}; "
                    f"the services are {', '.join(self._services)}"
                )
            return list(self._services[features])
        return [reference.replace(":", "__") for reference in features]

    def _resolved(self, features: Features) -> Any:
        if isinstance(features, str):
            self._names(features)
            return self._feast.get_feature_service(features)
        unknown = [
            reference
            for reference in features
            if reference not in KNOWN and reference.split(":")[0] not in ON_DEMAND_TABLES
        ]
        if unknown:
            raise UnknownFeature(
                f"no such feature(s): {', '.join(unknown)}; a feature is written view:feature, "
                f"and the views are {', '.join(FEATURE_TABLES)}"
            )
        return list(features)

    def _asked(self, entities: pd.DataFrame, features: Features) -> pd.DataFrame:
        """What Feast needs of the entity rows: ids, UTC microseconds, row number, moment."""
        self.require_applied()
        self._resolved(features)
        if tables.EVENT_TIMESTAMP not in entities.columns:
            raise StoreError(
                f"the entity rows lack {tables.EVENT_TIMESTAMP!r}; "
                f"they have {', '.join(map(str, entities.columns))}"
            )
        times = entities[tables.EVENT_TIMESTAMP]
        if not isinstance(times.dtype, pd.DatetimeTZDtype):
            raise StoreError(
                f"{tables.EVENT_TIMESTAMP!r} must be time-zone aware, is {times.dtype}"
            )
        keys = (tables.USER_ID, tables.ITEM_ID, CATEGORY_ID)
        ids = [name for name in keys if name in entities.columns]
        asked = entities[ids].reset_index(drop=True)
        if CATEGORY_ID in asked:
            asked[CATEGORY_ID] = asked[CATEGORY_ID].fillna("")  # an item may have no category
        times = times.dt.tz_convert("UTC").dt.as_unit("us").reset_index(drop=True)
        asked[tables.EVENT_TIMESTAMP] = times
        if asked.isna().to_numpy().any():
            raise StoreError("entity rows must have an id and a time each; some are null")
        if self._needs_moment(features):
            asked[AS_OF_US] = (times - _EPOCH) // pd.Timedelta(microseconds=1)
        return asked.assign(**{_ROW: np.arange(len(asked))})

    def _point_in_time(self, asked: pd.DataFrame, features: Features) -> pd.DataFrame:
        with without_notices():
            frame: pd.DataFrame = self._feast.get_historical_features(
                entity_df=asked.reset_index(drop=True),
                features=self._resolved(features),
                full_feature_names=True,
            ).to_df()
        if len(frame) != len(asked):
            raise StoreError(f"{len(asked)} entity rows came back as {len(frame)}")
        return frame[[_ROW, *(name for name in self._names(features))]]


def _plain(value: Any) -> Any:
    """NaN of an on-demand feature says that nothing is known, as None does."""
    return None if isinstance(value, float) and value != value else value

"""Every Feast object: entities, sources, feature views, on-demand views and services.

Plain Feast (`feast apply` in this folder) registers what it finds in this module's names;
`coldstart` calls :func:`definitions` for the state folder it works on. Columns come from
:mod:`feature_repo.feature_tables`.
"""

import inspect
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pyarrow as pa
from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.data_source import DataSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

from feature_repo.environment import DUCKDB, POSTGRES, SPARK, Environment
from feature_repo.feature_tables import (
    AS_OF_US,
    CATEGORY_ID,
    CHANGE_ID,
    CREATED_TIMESTAMP,
    FEATURE_TABLES,
    PUSH_SUFFIX,
    USER_ITEM_VIEW,
    FeatureTable,
)
from feature_repo.home import Home
from feature_repo.lineage import lineage_of
from feature_repo.on_demand_features import ON_DEMAND_TABLES, OnDemandTable
from validation import tables

OWNER: Final = "coldstart-home maintainers"
NO_EXPIRY: Final = timedelta(0)
BEHAVIOUR_EXPIRY: Final = timedelta(days=3650)
"""Counts and histories stay true for long; ten years bounds the look-back of a join."""

SPARK_ROWS: Final = f"""
    SELECT * FROM (
        SELECT *, row_number() OVER (
            PARTITION BY {{key}}, {tables.EVENT_TIMESTAMP} ORDER BY {CREATED_TIMESTAMP} DESC
        ) AS newest_created FROM parquet.`{{path}}`
    ) WHERE newest_created = 1"""
"""A row a key and event time: Feast's join on Spark multiplies entity rows by those that share
both."""

FEAST_TYPES: Final[Mapping[pa.DataType, FeastType]] = {
    pa.string(): String,
    pa.bool_(): Bool,
    pa.int64(): Int64,
    pa.float32(): Float32,
    pa.float64(): Float64,
    pa.list_(pa.string()): Array(String),
    pa.list_(pa.int64()): Array(Int64),
    pa.list_(pa.float32()): Array(Float32),
}

VIEW_TTLS: Final[Mapping[str, timedelta]] = {
    "item_profile": NO_EXPIRY,
    "item_image_embedding": NO_EXPIRY,
    "item_text_embedding": NO_EXPIRY,
    "item_vector": NO_EXPIRY,
    "item_stats": BEHAVIOUR_EXPIRY,
    "item_adaptation": BEHAVIOUR_EXPIRY,
    "user_history": BEHAVIOUR_EXPIRY,
    "user_activity": BEHAVIOUR_EXPIRY,
    "user_session": BEHAVIOUR_EXPIRY,
    "user_affinities": BEHAVIOUR_EXPIRY,
    "item_activity": BEHAVIOUR_EXPIRY,
    "category_stats": BEHAVIOUR_EXPIRY,
    "listing_changes": NO_EXPIRY,
}
VIEW_TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "item_profile": {"made_by": "aggregate", "kind": "content"},
    "item_image_embedding": {"made_by": "extract", "kind": "embedding", "modality": "image"},
    "item_text_embedding": {"made_by": "extract", "kind": "embedding", "modality": "text"},
    "item_vector": {"made_by": "train", "kind": "embedding"},
    "item_stats": {"made_by": "aggregate", "kind": "behaviour"},
    "item_adaptation": {"made_by": "meta-train", "kind": "adaptation"},
    "user_history": {"made_by": "aggregate", "kind": "behaviour"},
    "user_activity": {"made_by": "aggregate", "kind": "behaviour"},
    "user_session": {"made_by": "aggregate", "kind": "behaviour"},
    "user_affinities": {"made_by": "aggregate", "kind": "behaviour"},
    "item_activity": {"made_by": "aggregate", "kind": "behaviour"},
    "category_stats": {"made_by": "aggregate", "kind": "behaviour"},
    "listing_changes": {"made_by": "serve", "kind": "log"},
}

SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "coldstart_v1": (
        "item_profile",
        "item_image_embedding",
        "item_text_embedding",
        "item_vector",
        "item_stats",
        "item_adaptation",
        "user_history",
        USER_ITEM_VIEW,
    ),
    "behaviour_v1": (
        "user_activity",
        "user_session",
        "user_affinities",
        "item_activity",
        "category_stats",
        "user_recency",
        "item_trend",
        "user_item_affinity",
    ),
}
"""Feature service → the views it serves. A model whose inputs change gets a new version."""


def definitions(home: Home, *, offline: str | None = None) -> dict[str, Any]:
    """Name → Feast object, with sources under the given state folder.

    Args:
        offline: type of the offline store that reads the sources; that of the environment's YAML
            where None.
    """
    store = offline or Environment.current().offline
    entities = {
        tables.ITEM_ID: Entity(
            name="item",
            join_keys=[tables.ITEM_ID],
            value_type=ValueType.STRING,
            description="a listing",
            owner=OWNER,
        ),
        tables.USER_ID: Entity(
            name="user",
            join_keys=[tables.USER_ID],
            value_type=ValueType.STRING,
            description="a person who browses or buys",
            owner=OWNER,
        ),
        CATEGORY_ID: Entity(
            name="category",
            join_keys=[CATEGORY_ID],
            value_type=ValueType.STRING,
            description="a top-level category",
            owner=OWNER,
        ),
        CHANGE_ID: Entity(
            name="change",
            join_keys=[CHANGE_ID],
            value_type=ValueType.STRING,
            description="what state folders over one online store tell each other",
            owner=OWNER,
        ),
    }
    views = {
        name: feature_view(table, home=home, entity=entities[table.key], offline=store)
        for name, table in FEATURE_TABLES.items()
    }
    on_demand = {
        name: on_demand_view(table, views=views) for name, table in ON_DEMAND_TABLES.items()
    }
    every_view = {**views, **on_demand}
    services = {
        name: feature_service(name, [every_view[view] for view in served])
        for name, served in SERVICES.items()
    }
    by_name = {entity.name: entity for entity in entities.values()}
    return {**by_name, **every_view, **services}


def batch_source(table: FeatureTable, *, home: Home, offline: str) -> DataSource:
    """The table's Parquet file, as the offline store reads it."""
    about = {
        "name": f"{table.name}_file",
        "timestamp_field": tables.EVENT_TIMESTAMP,
        "created_timestamp_column": CREATED_TIMESTAMP,
        "description": f"Parquet behind {table.name}",
        "owner": OWNER,
    }
    path = home.feature_table(table.name)
    if offline == SPARK:
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

        return SparkSource(query=SPARK_ROWS.format(key=table.key, path=path), **about)
    if offline == POSTGRES:
        from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
            PostgreSQLSource,
        )

        return PostgreSQLSource(table=f"offline_{table.name}", **about)
    return FileSource(path=str(path), **about)


def feature_view(
    table: FeatureTable, *, home: Home, entity: Entity, offline: str = DUCKDB
) -> FeatureView:
    """The view of one feature table: read from its Parquet file, pushed to by the service."""
    source = batch_source(table, home=home, offline=offline)
    push_source = PushSource(
        name=f"{table.name}{PUSH_SUFFIX}",
        batch_source=source,
        description=f"rows of {table.name} that arrive between materializations",
        owner=OWNER,
    )
    return FeatureView(
        name=table.name,
        entities=[entity],
        ttl=VIEW_TTLS[table.name],
        schema=[
            Field(name=table.key, dtype=String),
            *(
                Field(
                    name=column.name,
                    dtype=FEAST_TYPES[column.dtype],
                    description=column.meaning,
                )
                for column in table.features
            ),
        ],
        source=push_source,
        online=True,
        description=table.meaning,
        tags={**VIEW_TAGS[table.name], **lineage_of(home, table.name).tags()},
        owner=OWNER,
    )


def feature_service(
    name: str, views: Sequence[FeatureView | OnDemandFeatureView]
) -> FeatureService:
    """One model version's features."""
    return FeatureService(
        name=name,
        features=list(views),
        description=f"features that models of {name} read",
        tags={"version": name.rsplit("_", 1)[-1]},
        owner=OWNER,
    )


def on_demand_view(
    table: OnDemandTable, *, views: Mapping[str, FeatureView]
) -> OnDemandFeatureView:
    """What depends on the moment of the request, computed when asked."""
    request = RequestSource(
        name="request",
        schema=[Field(name=AS_OF_US, dtype=Int64)],
        description="the moment of the request",
        owner=OWNER,
    )
    return OnDemandFeatureView(
        name=table.name,
        sources=[
            *(views[view][list(features)] for view, features in table.inputs.items()),
            request,
        ],
        # Feast refuses descriptions of inferred fields; they stand in the view's own.
        schema=[Field(name=name, dtype=Float64) for name in table.features],
        mode="pandas",
        description="; ".join(f"{name}: {text}" for name, text in table.features.items()),
        tags={"made_by": "request", "kind": "on demand"},
        owner=OWNER,
        udf=table.compute,
        udf_string=inspect.getsource(table.compute),
    )


# Feast registers what it finds in this module's names.
globals().update(definitions(Home.current()))

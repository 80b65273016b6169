"""Every Feast object: entities, sources, feature views, on-demand views and services.

Plain Feast (`feast apply` in this folder) registers what it finds in this module's names;
`coldstart` calls :func:`definitions` for the state folder it works on. Columns come from
:mod:`feature_repo.feature_tables`.
"""

import inspect
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pandas as pd
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
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

from feature_repo.feature_tables import (
    AS_OF_US,
    CREATED_TIMESTAMP,
    FEATURE_TABLES,
    PUSH_SUFFIX,
    USER_ITEM_VIEW,
    FeatureTable,
)
from feature_repo.home import Home
from feature_repo.lineage import lineage_of
from validation import tables

OWNER: Final = "coldstart-home maintainers"
NO_EXPIRY: Final = timedelta(0)
BEHAVIOUR_EXPIRY: Final = timedelta(days=3650)
"""Counts and histories stay true for long; ten years bounds the look-back of a join."""

USER_ITEM_FEATURES: Final[Mapping[str, str]] = {
    "log_price_ratio": "log of the item's price over the user's usual price",
    "category_affinity": "share of the user's events in the item's top category; 0 if new",
    "days_since_listed": "days from the listing to the request; null if unknown",
}

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
}
VIEW_TAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "item_profile": {"made_by": "aggregate", "kind": "content"},
    "item_image_embedding": {"made_by": "extract", "kind": "embedding", "modality": "image"},
    "item_text_embedding": {"made_by": "extract", "kind": "embedding", "modality": "text"},
    "item_vector": {"made_by": "train", "kind": "embedding"},
    "item_stats": {"made_by": "aggregate", "kind": "behaviour"},
    "item_adaptation": {"made_by": "meta-train", "kind": "adaptation"},
    "user_history": {"made_by": "aggregate", "kind": "behaviour"},
}

SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "coldstart_v1": (*FEATURE_TABLES, USER_ITEM_VIEW),
}
"""Feature service → the views it serves. A model whose inputs change gets a new version."""


def definitions(home: Home) -> dict[str, Any]:
    """Name → Feast object, with sources under the given state folder."""
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
    }
    views = {
        name: feature_view(table, home=home, entity=entities[table.key])
        for name, table in FEATURE_TABLES.items()
    }
    on_demand = {USER_ITEM_VIEW: user_item_view(views["user_history"], views["item_profile"])}
    every_view = {**views, **on_demand}
    services = {
        name: feature_service(name, [every_view[view] for view in served])
        for name, served in SERVICES.items()
    }
    by_name = {entity.name: entity for entity in entities.values()}
    return {**by_name, **every_view, **services}


def feature_view(table: FeatureTable, *, home: Home, entity: Entity) -> FeatureView:
    """The view of one feature table: read from its Parquet file, pushed to by the service."""
    batch_source = FileSource(
        name=f"{table.name}_file",
        path=str(home.feature_table(table.name)),
        timestamp_field=tables.EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
        description=f"Parquet behind {table.name}",
        owner=OWNER,
    )
    push_source = PushSource(
        name=f"{table.name}{PUSH_SUFFIX}",
        batch_source=batch_source,
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


def user_item_view(user_history: FeatureView, item_profile: FeatureView) -> OnDemandFeatureView:
    """What depends on user and item together, computed when asked."""
    request = RequestSource(
        name="request",
        schema=[Field(name=AS_OF_US, dtype=Int64)],
        description="the moment of the request",
        owner=OWNER,
    )
    return OnDemandFeatureView(
        name=USER_ITEM_VIEW,
        sources=[
            user_history[["log_price_mean", "category_counts", "event_count"]],
            item_profile[["price", "top_category", "listed_us"]],
            request,
        ],
        # Feast refuses descriptions of inferred fields; they stand in the view's own.
        schema=[Field(name=name, dtype=Float64) for name in USER_ITEM_FEATURES],
        mode="pandas",
        description="; ".join(f"{name}: {text}" for name, text in USER_ITEM_FEATURES.items()),
        tags={"made_by": "request", "kind": "on demand"},
        owner=OWNER,
        udf=compare_user_with_item,
        udf_string=inspect.getsource(compare_user_with_item),
    )


def compare_user_with_item(inputs: pd.DataFrame) -> pd.DataFrame:
    """Feast stores this function's source and runs it elsewhere: it imports what it needs.

    At `apply` Feast also tries it on made-up values, hence the look at the first character.
    """
    import json

    import numpy as np
    import pandas as pd

    price = pd.to_numeric(inputs["price"]).astype("float64")
    usual = pd.to_numeric(inputs["log_price_mean"]).astype("float64")
    listed = pd.to_numeric(inputs["listed_us"]).astype("float64")
    asked = pd.to_numeric(inputs["as_of_us"]).astype("float64")
    affinity = [
        json.loads(counts).get(category, 0) / events
        if str(counts)[:1] == "{" and isinstance(category, str) and events > 0
        else 0.0
        for counts, category, events in zip(
            inputs["category_counts"], inputs["top_category"], inputs["event_count"], strict=True
        )
    ]
    return pd.DataFrame(
        {
            "log_price_ratio": np.log(price.where(price > 0)) - usual,
            "category_affinity": np.asarray(affinity, dtype="float64"),
            "days_since_listed": (asked - listed) / 86_400_000_000.0,
        }
    )


# Feast registers what it finds in this module's names.
globals().update(definitions(Home.current()))

"""Entities' rows of one view, as Feast's online store holds them.

`get_online_features` plans for several views and entities at each call, which takes longer than to
read one person's row. Of a single view the store is asked by the same interface that it asks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feature_repo.feature_tables import FEATURE_TABLES


def view_of(features: str | Sequence[str]) -> str | None:
    """The stored view that all references are of; None where there are several or a service."""
    if isinstance(features, str):
        return None
    views = {reference.partition(":")[0] for reference in features}
    return views.pop() if len(views) == 1 and views <= FEATURE_TABLES.keys() else None


def reads_one(features: str | Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one entity of one view is asked for."""
    view = view_of(features)
    return view is not None and len(rows) == 1 and names_entities(rows, view)


def names_entities(rows: Sequence[Mapping[str, Any]], view: str) -> bool:
    """Whether each row names an entity of the view and nothing else."""
    key = FEATURE_TABLES[view].key
    return all(len(row) == 1 and isinstance(row.get(key), str) for row in rows)


def read(
    feast: Any, view: Any, references: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One dict a row in order: its id, and ``view__feature`` → value or None.

    Args:
        feast: the feature store,
        view: and its view.
        references: ``view:feature`` of features that it has.
        rows: each names an entity of the view.
    """
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type as plain

    key = FEATURE_TABLES[view.name].key
    columns = [reference.partition(":")[2] for reference in references]
    keys = [EntityKey(join_keys=[key], entity_values=[Value(string_val=row[key])]) for row in rows]
    asked = list(columns)  # a store may add to it
    found = feast._get_provider().online_read(feast.config, view, keys, asked)
    return [
        {key: row[key]}
        | {
            f"{view.name}__{column}": plain(values[column]) if values and column in values else None
            for column in columns
        }
        for row, (_, values) in zip(rows, found, strict=True)
    ]

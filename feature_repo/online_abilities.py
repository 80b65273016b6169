"""What an online store may be able to do beyond what Feast asks of one, and what is done without.

The project's own stores (`local_stores`, `redis_store`, `postgres_store`) delete entities, count
them and give up in time, each as far as its database can; docs/stores.md lists which.
"""

from collections.abc import Sequence
from typing import Any

from feature_repo.errors import StoreError
from feature_repo.offline_tables import feature_table
from feature_repo.store_faults import as_store_lost


def wait_at_most(feast: Any, seconds: float) -> None:
    """Have the store's client give up after so long, where it can be told to."""
    online = _online_of(feast)
    if hasattr(online, "wait_at_most"):
        online.wait_at_most(feast.config, seconds)


def read_within(feast: Any, seconds: float) -> bool:
    """Have reads give up by themselves; whether the store can do so."""
    online = _online_of(feast)
    return hasattr(online, "read_within") and online.read_within(feast.config, seconds)


def can_remove(feast: Any) -> bool:
    """Whether `remove` works."""
    return hasattr(_online_of(feast), "remove_online")


def remove(feast: Any, views: Sequence[str], keys: Sequence[str]) -> None:
    """Delete some entities' values of views of one key for good.

    Raises StoreError where the store cannot, and StoreLost where it does not answer.
    """
    from feature_repo.wire_rows import entity_keys

    online = _online_of(feast)
    if not can_remove(feast):
        raise StoreError(
            f"{type(online).__name__} cannot delete an entity; docs/stores.md lists those that can"
        )
    if not views:
        return
    wire_keys = entity_keys(feature_table(views[0]).key, keys)
    for view in views:
        with as_store_lost():
            online.remove_online(feast.config, feast.get_feature_view(view), wire_keys)


def forget_deleted(feast: Any) -> list[str]:
    """Free what deleted values took, where the store would keep their bytes.

    Returns what still keeps them for a while, a sentence each. Raises StoreLost.
    """
    online = _online_of(feast)
    if not hasattr(online, "forget_deleted"):
        return []
    with as_store_lost():
        return list(online.forget_deleted(feast.config))


def count(feast: Any, view: str, keys: Sequence[str]) -> int | None:
    """How many of the entities have values of a view; None where the store cannot tell."""
    from feature_repo.wire_rows import entity_keys

    counted = getattr(_online_of(feast), "count_online", None)
    if counted is None:
        return None
    wire_keys = entity_keys(feature_table(view).key, keys)
    return int(counted(feast.config, feast.get_feature_view(view), wire_keys))


def _online_of(feast: Any) -> Any:
    return feast._get_provider().online_store

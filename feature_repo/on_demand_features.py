"""What is computed when asked: features of the moment of the request, from stored ones.

A stored row says how things stood at its own moment. These functions carry it on to the moment
asked for (`as_of_us`), by the same code in a training set's join and online. Feast stores a
function's source and runs it elsewhere, so each imports what it needs and names nothing of this
module; at `apply` Feast also tries it on made-up values. A feature may not be called what one of
the view's inputs is called: Feast would drop it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from feature_repo.feature_tables import (
    CATEGORY_STATS,
    HISTORY_LENGTH,
    ITEM_ACTIVITY,
    ITEM_MEASURES,
    ITEM_PROFILE,
    USER_AFFINITIES,
    USER_HISTORY,
    USER_ITEM_VIEW,
    USER_MEASURES,
    USER_SESSION,
    WINDOWS,
    windowed,
)
from validation import tables


@dataclass(frozen=True, slots=True)
class OnDemandTable:
    """An on-demand feature view: what it reads, what it gives (all float64) and how."""

    name: str
    inputs: Mapping[str, tuple[str, ...]]
    """Feature view → the features of it that are read; the request's moment is read too."""
    features: Mapping[str, str]
    """Feature → meaning."""
    compute: Callable[[pd.DataFrame], pd.DataFrame]


def compare_user_with_item(inputs: pd.DataFrame) -> pd.DataFrame:
    """What depends on user and item together."""
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


def recall_user(inputs: pd.DataFrame) -> pd.DataFrame:
    """A user's windows, pauses and visit at the moment of the request."""
    import numpy as np
    import pandas as pd

    hour = 3_600_000_000
    windows = {"1h": hour, "1d": 24 * hour, "7d": 7 * 24 * hour, "30d": 30 * 24 * hour}
    names = (
        *(
            f"{measure}_{window}_now"
            for measure in ("event_count", "purchase_count", "spend")
            for window in windows
        ),
        *(f"hours_since_{kind}" for kind in ("event", "click", "cart", "purchase", "rating")),
    )
    found = {name: np.full(len(inputs), np.nan) for name in names}
    asked = pd.to_numeric(inputs["as_of_us"]).to_numpy("float64")
    rows = zip(
        inputs["history_time_us"],
        inputs["history_event_types"],
        inputs["history_quantities"],
        inputs["history_prices"],
        strict=True,
    )
    for row, (times, kinds, quantities, prices) in enumerate(rows):
        if times is None or not np.size(times):
            continue
        age = asked[row] - np.asarray(times, "float64")
        bought = np.asarray(kinds, object) == "purchase"
        pieces = np.asarray(quantities, "float64")
        paid = np.asarray(prices, "float64") * np.where(np.isnan(pieces), 1.0, pieces)
        paid = np.where(bought & ~np.isnan(paid), paid, 0.0)
        for window, length in windows.items():
            within = age < length
            found[f"event_count_{window}_now"][row] = within.sum()
            found[f"purchase_count_{window}_now"][row] = (within & bought).sum()
            found[f"spend_{window}_now"][row] = paid[within].sum()
        found["hours_since_event"][row] = age.min() / hour
    for kind in ("click", "cart", "purchase", "rating"):
        last = pd.to_numeric(inputs[f"last_{kind}_us"]).to_numpy("float64")
        found[f"hours_since_{kind}"] = (asked - last) / hour
    last = pd.to_numeric(inputs["session_last_us"]).to_numpy("float64")
    start = pd.to_numeric(inputs["session_start_us"]).to_numpy("float64")
    events = pd.to_numeric(inputs["session_event_count"]).to_numpy("float64")
    known = ~np.isnan(last)
    is_open = known & (asked - last <= hour / 2)
    categories = np.asarray(
        [0 if names is None else np.size(names) for names in inputs["session_categories"]],
        "float64",
    )
    found["session_event_count_now"] = np.where(known, np.where(is_open, events, 0.0), np.nan)
    found["session_category_count_now"] = np.where(
        known, np.where(is_open, categories, 0.0), np.nan
    )
    found["session_minutes"] = np.where(is_open, (asked - start) / 60_000_000.0, np.nan)
    return pd.DataFrame(found)


def weigh_item(inputs: pd.DataFrame) -> pd.DataFrame:
    """An item's windows, popularity and rates at the moment of the request."""
    import numpy as np
    import pandas as pd

    hour, trials, rate = 3_600_000_000, 20.0, 0.05
    windows = {"1h": hour, "1d": 24 * hour, "7d": 7 * 24 * hour, "30d": 30 * 24 * hour}
    half_life = windows["7d"]
    measures = ("impression_count", "click_count", "cart_count", "purchase_count", "user_count")

    def numbers(name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return pd.to_numeric(inputs[name]).to_numpy("float64")

    age = numbers("as_of_us") - numbers("counted_us")
    found = {
        f"{measure}_{window}_now": np.where(
            np.isnan(age), np.nan, np.where(age < length, numbers(f"{measure}_{window}"), 0.0)
        )
        for measure in measures
        for window, length in windows.items()
    }
    life = {
        kind: np.nan_to_num(numbers(f"{kind}_count_life"), nan=0.0)
        for kind in ("impression", "click", "purchase")
    }
    for name, tried, done in (("ctr", "impression", "click"), ("cvr", "click", "purchase")):
        prior = numbers(f"prior_{name}")
        prior = np.where(np.isnan(prior), rate, prior)
        found[name] = (life[done] + trials * prior) / (np.maximum(life[tried], life[done]) + trials)
    found["popularity_now"] = numbers("popularity") * np.exp2(-age / half_life)
    found["hours_since_any_event"] = age / hour
    return pd.DataFrame(found)


def place_item(inputs: pd.DataFrame) -> pd.DataFrame:
    """How much of what the user chose is of the item's department."""
    import json

    import numpy as np
    import pandas as pd

    def shares(affinities: str, names: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        found = [
            np.nan
            if str(by_name)[:1] != "{"
            else (float(json.loads(by_name).get(name, 0.0)) if isinstance(name, str) else 0.0)
            for by_name, name in zip(inputs[affinities], inputs[names], strict=True)
        ]
        return np.asarray(found, "float64")

    return pd.DataFrame(
        {
            "domain_share": shares("domain_affinities", "domain"),
            "category_share": shares("category_affinities", "top_category"),
        }
    )


_RECENT: Final = f"of the last {HISTORY_LENGTH} events; null without any"
_SPANS: Final = {"1h": "hour", "1d": "24 hours", "7d": "7 days", "30d": "30 days"}
_USER_MEASURED: Final = {
    "event_count": "positive events",
    "purchase_count": "purchases",
    "spend": "price times pieces of purchases",
}

USER_ITEM: Final = OnDemandTable(
    USER_ITEM_VIEW,
    {
        USER_HISTORY.name: ("log_price_mean", "category_counts", "event_count"),
        ITEM_PROFILE.name: ("price", "top_category", "listed_us"),
    },
    {
        "log_price_ratio": "log of the item's price over the user's usual price",
        "category_affinity": "share of the user's events in the item's top category; 0 if new",
        "days_since_listed": "days from the listing to the request; null if unknown",
    },
    compare_user_with_item,
)
USER_RECENCY: Final = OnDemandTable(
    "user_recency",
    {
        USER_HISTORY.name: (
            "history_time_us",
            "history_event_types",
            "history_quantities",
            "history_prices",
            *(f"last_{kind}_us" for kind in tables.POSITIVE_EVENT_TYPES),
        ),
        USER_SESSION.name: (
            "session_event_count",
            "session_start_us",
            "session_last_us",
            "session_categories",
        ),
    },
    {
        **{
            f"{measure}_{window}_now": f"{_USER_MEASURED[measure]} in the {_SPANS[window]} before "
            f"the request, {_RECENT}"
            for measure in USER_MEASURES
            for window in WINDOWS
        },
        **{
            f"hours_since_{kind}": f"hours from the last {kind} to the request; null if none"
            for kind in ("event", *tables.POSITIVE_EVENT_TYPES)
        },
        "session_event_count_now": "positive events in the visit; 0 once it is over",
        "session_category_count_now": "top categories chosen in the visit; 0 once it is over",
        "session_minutes": "minutes from the visit's start to the request; null once it is over",
    },
    recall_user,
)
ITEM_TREND: Final = OnDemandTable(
    "item_trend",
    {
        ITEM_ACTIVITY.name: (
            *(name for measure in ITEM_MEASURES for name in windowed(measure)),
            "popularity",
            "counted_us",
        ),
        CATEGORY_STATS.name: ("prior_ctr", "prior_cvr"),
    },
    {
        **{
            f"{measure}_{window}_now": f"item_activity's {measure}_{window}; 0 once the item had "
            f"no event for the {_SPANS[window]} before the request"
            for measure in ITEM_MEASURES
            for window in WINDOWS
        },
        "ctr": "clicks per impression so far, from the category's rate on",
        "cvr": "purchases per click so far, from the category's rate on",
        "popularity_now": "positive events, each halved for every 7 days up to the request",
        "hours_since_any_event": "hours from the item's last event to the request; null if none",
    },
    weigh_item,
)
USER_ITEM_AFFINITY: Final = OnDemandTable(
    "user_item_affinity",
    {
        USER_AFFINITIES.name: ("domain_affinities", "category_affinities"),
        ITEM_PROFILE.name: (tables.DOMAIN, "top_category"),
    },
    {
        "domain_share": "decayed share of the user's events in the item's domain; 0 if new, null "
        "for a user without events",
        "category_share": "the same of the item's top category",
    },
    place_item,
)
ON_DEMAND_TABLES: Final[Mapping[str, OnDemandTable]] = {
    table.name: table for table in (USER_ITEM, USER_RECENCY, ITEM_TREND, USER_ITEM_AFFINITY)
}

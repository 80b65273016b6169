"""What happened to an item lately, and how its category does: SQL that job and service share.

Relations `events` (with the log's order as `number`) and, for categories, `items`.
"""

from datetime import datetime
from typing import Final

from feature_repo.feature_tables import (
    ITEM_MEASURES,
    POPULARITY_HALF_LIFE,
    US,
    windowed,
)
from feature_repo.jobs.arrival import HAPPENED, KNOWN, MOMENT, POSITIVE, TOP_CATEGORY, known_from
from feature_repo.jobs.decay import carried, decayed, era, weight
from feature_repo.jobs.event_counts import counted, rates, running
from feature_repo.jobs.windows import fits, packed, unpacked, window_ctes
from validation import tables

POPULARITY_HALF_LIFE_US: Final = POPULARITY_HALF_LIFE // US
COUNTED: Final = (tables.IMPRESSION, tables.CLICK, tables.CART, tables.PURCHASE)

STATS_OF_DAY: Final = f"""{rates(ctr="ctr", cvr="cvr")},
       day + INTERVAL 1 DAY AS event_timestamp
"""
"""SQL: what follows from an item's counts up to a day."""

# The row of a day is known from the next midnight, never during the day.
STATS_SQL: Final = f"""
WITH seen AS (
    SELECT *, date_trunc('day', {MOMENT}) AS day,
           event_type <> '{tables.IMPRESSION}' AND row_number() OVER (
               PARTITION BY item_id, user_id, event_type <> '{tables.IMPRESSION}'
               ORDER BY {MOMENT}, number) = 1 AS first_of_user
    FROM events
),
days AS (
    SELECT item_id, day, count(*) FILTER (first_of_user) AS new_users,
           {counted(tables.EVENT_TYPES)}
    FROM seen GROUP BY item_id, day
),
running AS (
    SELECT item_id, day, {running(tables.EVENT_TYPES)},
           (sum(new_users) OVER so_far)::BIGINT AS user_count
    FROM days WINDOW so_far AS (PARTITION BY item_id ORDER BY day ROWS UNBOUNDED PRECEDING)
)
SELECT * EXCLUDE (day), {STATS_OF_DAY}
FROM running ORDER BY item_id, event_timestamp
"""


def item_activity_sql(*, keys: str = "true", last: bool = False) -> str:
    """Impressions, clicks, carts, purchases and distinct users by window; decayed popularity.

    A user counts once in a window: each of its positive events takes the place of the one before.
    """
    half_life = POPULARITY_HALF_LIFE_US
    kinds = packed([f"(event_type = '{kind}')::BIGINT" for kind in COUNTED])
    person = packed([*("0" for _ in COUNTED), "1"])
    columns = ",\n".join(
        f"{unpacked(pack, place)} AS {name}"
        for place, measure in enumerate(ITEM_MEASURES)
        for pack, name in zip(windowed("events"), windowed(measure), strict=True)
    )
    return f"""
WITH seen AS (
    SELECT item_id, user_id, {KNOWN} AS known, {HAPPENED} AS us, {POSITIVE} AS positive, event_type
    FROM events WHERE {keys}
),
people AS (
    SELECT item_id, known, max(us) OVER so_far AS since, lead(known) OVER in_order AS until
    FROM (SELECT item_id, user_id, known, max(us) AS us FROM seen WHERE positive GROUP BY ALL)
    WINDOW in_order AS (PARTITION BY item_id, user_id ORDER BY known),
           so_far AS (PARTITION BY item_id, user_id ORDER BY known ROWS UNBOUNDED PRECEDING)
),
changes AS (
    SELECT item_id, known, us AS since, NULL::BIGINT AS until, {kinds} AS events FROM seen
    WHERE {fits("seen", tables.ITEM_ID)}
    UNION ALL
    SELECT item_id, known, since, until, {person} AS events FROM people
),
{window_ctes(tables.ITEM_ID, ["events"], last=last)},
weights AS (
    SELECT item_id, known, {era("known", half_life_us=half_life)} AS era,
           sum(CASE WHEN positive THEN {weight("us", "known", half_life_us=half_life)}
               ELSE 0 END)::HUGEINT AS weight
    FROM seen GROUP BY item_id, known
),
eras AS (SELECT item_id, era, sum(weight)::HUGEINT AS weight FROM weights GROUP BY ALL),
popularities AS (
    SELECT w.item_id, w.known,
           (sum(w.weight) OVER (PARTITION BY w.item_id, w.era ORDER BY w.known
                                ROWS UNBOUNDED PRECEDING))::HUGEINT
               + {carried("before.weight")} AS weight
    FROM weights AS w LEFT JOIN eras AS before
        ON before.item_id = w.item_id AND before.era = w.era - 1
)
SELECT windows.item_id, {columns},
       {decayed("weight", "windows.known", half_life_us=half_life)} AS popularity,
       windows.known AS counted_us, {known_from("windows.known")} AS event_timestamp
FROM windows JOIN popularities USING (item_id, known)
ORDER BY windows.item_id, windows.known
"""


def category_stats_sql(*, known_by: datetime, last: bool = False) -> str:
    """Every top category's counts and rates by day, each known from the midnight after.

    Days whose midnight has not come by `known_by` are left out: nobody may read them yet.
    """
    newest = (
        "QUALIFY row_number() OVER (PARTITION BY category_id ORDER BY day DESC) = 1" if last else ""
    )
    return f"""
WITH days AS (
    SELECT {TOP_CATEGORY} AS category_id, date_trunc('day', {MOMENT}) AS day,
           {counted(COUNTED)}
    FROM events AS e JOIN items AS i ON i.item_id = e.item_id
    WHERE {TOP_CATEGORY} IS NOT NULL
    GROUP BY category_id, day
),
running AS (
    SELECT category_id, day, {running(COUNTED)} FROM days
    WINDOW so_far AS (PARTITION BY category_id ORDER BY day ROWS UNBOUNDED PRECEDING)
)
SELECT * EXCLUDE (day), {rates(ctr="prior_ctr", cvr="prior_cvr")},
       day + INTERVAL 1 DAY AS event_timestamp
FROM running WHERE day + INTERVAL 1 DAY <= '{known_by.isoformat()}'::TIMESTAMPTZ
{newest}
ORDER BY category_id, event_timestamp
"""

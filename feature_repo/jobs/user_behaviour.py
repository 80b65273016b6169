"""What a user did lately, in this visit and by department: SQL that job and service share.

Relations `events` (with the log's order as `number`) and `items`; a row for each moment at which
a positive event became known, as in the user's history.
"""

from typing import Final

from feature_repo.feature_tables import AFFINITY_HALF_LIFE, SESSION_GAP, US, USER_MEASURES, windowed
from feature_repo.jobs.arrival import (
    HAPPENED,
    KNOWN,
    NUMBER,
    PAID,
    PIECES,
    POSITIVE,
    TOP_CATEGORY,
    known_from,
)
from feature_repo.jobs.decay import carried, era, weight
from feature_repo.jobs.windows import newest_of, window_ctes
from validation import tables

AFFINITY_HALF_LIFE_US: Final = AFFINITY_HALF_LIFE // US
SESSION_GAP_US: Final = SESSION_GAP // US


def user_activity_sql(*, keys: str = "true", last: bool = False) -> str:
    """Positive events, purchases and money spent, by window.

    Money is summed as whole ten-thousandths. A purchase of unknown quantity is of one piece; one
    of unknown price adds nothing.
    """
    columns = ",\n".join(
        f"({name}::DOUBLE / 1e4) AS {name}" if measure == "spend" else f"{name}::BIGINT AS {name}"
        for measure in USER_MEASURES
        for name in windowed(measure)
    )
    return f"""
WITH changes AS (
    SELECT user_id, {KNOWN} AS known, {HAPPENED} AS since, NULL::BIGINT AS until,
           1 AS event_count,
           (event_type = '{tables.PURCHASE}')::BIGINT AS purchase_count,
           CASE WHEN event_type = '{tables.PURCHASE}' THEN
               coalesce(round({PAID} * coalesce({PIECES}, 1) * 1e4), 0)
           ELSE 0 END::HUGEINT AS spend
    FROM events AS e LEFT JOIN items AS i ON i.item_id = e.item_id
    WHERE {POSITIVE} AND {keys}
),
{window_ctes(tables.USER_ID, USER_MEASURES, last=last)}
SELECT user_id, {columns}, known AS counted_us, {known_from("known")} AS event_timestamp
FROM windows ORDER BY user_id, known
"""


def user_session_sql(*, keys: str = "true", last: bool = False) -> str:
    """The visit that the user is in: by `session_id`, or without one, up to a pause.

    An event that arrives later than a pause is long says nothing about the visit and is left out.
    """
    newest = "AND newest = 1" if last else ""
    return f"""
WITH seen AS (
    SELECT user_id, session_id, {KNOWN} AS known, {HAPPENED} AS us, {NUMBER} AS number,
           {POSITIVE} AS positive, {TOP_CATEGORY} AS category
    FROM events AS e LEFT JOIN items AS i ON i.item_id = e.item_id
    WHERE {keys} AND {KNOWN} - {HAPPENED} <= {SESSION_GAP_US}
),
paused AS (
    SELECT *, known - lag(known) OVER in_order > {SESSION_GAP_US} AS pause
    FROM seen
    WINDOW in_order AS (PARTITION BY user_id, session_id IS NULL ORDER BY known, us, number)
),
visits AS (
    SELECT *, CASE WHEN session_id IS NULL THEN count(*) FILTER (pause) OVER (
                  PARTITION BY user_id, session_id IS NULL ORDER BY known, us, number
                  ROWS UNBOUNDED PRECEDING)
              END AS visit
    FROM paused
),
categorised AS (
    SELECT *, positive AND category IS NOT NULL AND row_number() OVER (
                  PARTITION BY user_id, session_id, visit, category, positive
                  ORDER BY known, us, number) = 1 AS new_category
    FROM visits
),
categories AS (
    SELECT user_id, session_id, visit,
           list(category ORDER BY known, us, number) AS names
    FROM categorised WHERE new_category GROUP BY user_id, session_id, visit
),
states AS (
    SELECT *, count(*) FILTER (positive) OVER so_far AS events,
           count(*) FILTER (NOT positive) OVER so_far AS impressions,
           min(us) OVER so_far AS started,
           count(*) FILTER (new_category) OVER so_far AS known_categories,
           bool_or(positive) OVER (PARTITION BY user_id, known) AS asked,
           row_number() OVER (PARTITION BY user_id, known ORDER BY us DESC, number DESC) AS place
    FROM categorised
    WINDOW so_far AS (PARTITION BY user_id, session_id, visit ORDER BY known
                      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
asked AS (
    SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY known DESC) AS newest
    FROM states WHERE asked AND place = 1
)
SELECT s.user_id, s.session_id, events AS session_event_count,
       impressions AS session_impression_count, started AS session_start_us,
       known AS session_last_us,
       list_sort(list_slice(coalesce(names, []), 1, known_categories)) AS session_categories,
       {known_from("known")} AS event_timestamp
FROM asked AS s LEFT JOIN categories AS c
    ON c.user_id = s.user_id AND c.session_id IS NOT DISTINCT FROM s.session_id
    AND c.visit IS NOT DISTINCT FROM s.visit
WHERE true {newest}
ORDER BY s.user_id, known
"""


def user_affinities_sql(*, keys: str = "true", last: bool = False) -> str:
    """Shares of a user's positive events by department and by top category, decayed."""
    newest = newest_of(tables.USER_ID) if last else ""
    half_life = AFFINITY_HALF_LIFE_US
    return f"""
WITH seen AS (
    SELECT user_id, {KNOWN} AS known, {era(KNOWN, half_life_us=half_life)} AS era,
           {weight(HAPPENED, KNOWN, half_life_us=half_life)} AS weight,
           domain, {TOP_CATEGORY} AS category
    FROM events AS e LEFT JOIN items AS i ON i.item_id = e.item_id
    WHERE {POSITIVE} AND {keys}
),
named AS (
    SELECT user_id, known, era, 'domain' AS kind, domain AS name, sum(weight)::HUGEINT AS weight
    FROM seen WHERE domain IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT user_id, known, era, 'category' AS kind, category AS name, sum(weight)::HUGEINT AS weight
    FROM seen WHERE category IS NOT NULL GROUP BY ALL
),
eras AS (
    SELECT user_id, kind, name, era, sum(weight)::HUGEINT AS weight FROM named GROUP BY ALL
),
moments AS (SELECT DISTINCT user_id, known, era FROM seen),
running AS (
    SELECT m.user_id, m.known, m.era, k.kind, k.name,
           coalesce(sum(n.weight) OVER so_far, 0)::HUGEINT AS weight
    FROM moments AS m JOIN (SELECT DISTINCT user_id, kind, name FROM eras) AS k USING (user_id)
    LEFT JOIN named AS n USING (user_id, known, kind, name)
    WINDOW so_far AS (PARTITION BY m.user_id, k.kind, k.name, m.era
                      ORDER BY m.known ROWS UNBOUNDED PRECEDING)
),
weights AS (
    SELECT r.user_id, r.known, r.kind, r.name,
           r.weight + {carried("before.weight")} AS weight
    FROM running AS r LEFT JOIN eras AS before
        ON before.user_id = r.user_id AND before.kind = r.kind AND before.name = r.name
        AND before.era = r.era - 1
),
shares AS (
    SELECT user_id, known, kind, name,
           round(weight::DOUBLE / (sum(weight) OVER (PARTITION BY user_id, known, kind))::DOUBLE, 6)
               AS share
    FROM weights WHERE weight > 0
),
affinities AS (
    SELECT user_id, known,
           to_json(map(list(name ORDER BY name) FILTER (kind = 'domain'),
                       list(share ORDER BY name) FILTER (kind = 'domain'))) AS domains,
           to_json(map(list(name ORDER BY name) FILTER (kind = 'category'),
                       list(share ORDER BY name) FILTER (kind = 'category'))) AS categories
    FROM shares GROUP BY user_id, known
)
SELECT m.user_id, coalesce(domains, '{{}}')::VARCHAR AS domain_affinities,
       coalesce(categories, '{{}}')::VARCHAR AS category_affinities,
       {known_from("m.known")} AS event_timestamp
FROM (SELECT * FROM moments {newest}) AS m LEFT JOIN affinities USING (user_id, known)
ORDER BY m.user_id, m.known
"""

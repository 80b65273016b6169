"""The user history, defined once: the job and the service run the same SQL.

A row is a user's state after all events that became known at one moment, known from 1 µs
later, so that a training row at that moment does not see it (:mod:`feature_repo.jobs.arrival`).
There is a row for each moment with a positive event; impressions are counted into the rows that
follow them. The lists are in the order in which the events became known.
"""

from typing import Final

from feature_repo.feature_tables import HISTORY_LENGTH
from feature_repo.jobs.arrival import HAPPENED, MOMENT, PAID, PIECES, POSITIVE, TOP_CATEGORY
from feature_repo.jobs.event_counts import counted, running
from validation import tables

_LASTS = ",\n".join(
    f"max(us) FILTER (event_type = '{kind}') AS last_{kind}_us"
    for kind in tables.POSITIVE_EVENT_TYPES
)
_RUNNING_LASTS = ",\n".join(
    f"max(last_{kind}_us) OVER so_far AS last_{kind}_us" for kind in tables.POSITIVE_EVENT_TYPES
)

# Prices are summed as whole ten-thousandths and logarithms as whole billionths: integer sums
# do not depend on the order, so one user alone gives the same numbers as all users together.
HISTORY_SQL: Final = f"""
WITH seen AS (
    SELECT user_id, e.item_id, event_type, number,
           {MOMENT} AS moment, {HAPPENED} AS us, {POSITIVE} AS positive,
           coalesce({PIECES}, 'nan')::FLOAT AS quantity,
           {PAID} AS price, {TOP_CATEGORY} AS category
    FROM events AS e LEFT JOIN items AS i ON i.item_id = e.item_id
    WHERE {{keys}}
),
chosen AS (
    SELECT user_id,
           list(item_id ORDER BY place) AS item_ids,
           list(event_type ORDER BY place) AS event_types,
           list(us ORDER BY place) AS times,
           list(quantity ORDER BY place) AS quantities,
           list(coalesce(price, 'nan')::FLOAT ORDER BY place) AS prices
    FROM (SELECT *, row_number() OVER (ORDER BY moment, us, number) AS place
          FROM seen WHERE positive)
    GROUP BY user_id
),
moments AS (
    SELECT user_id, moment, count(*) FILTER (positive) AS events,
           count(price) FILTER (positive AND price > 0) AS priced,
           sum(round(price * 1e4)::HUGEINT) FILTER (positive AND price > 0) AS total,
           sum(round(price * 1e4)::HUGEINT * round(price * 1e4)::HUGEINT)
               FILTER (positive AND price > 0) AS squares,
           sum(round(ln(CASE WHEN price > 0 THEN price END) * 1e9)::HUGEINT)
               FILTER (positive) AS logs,
           {counted(tables.EVENT_TYPES)},
           {_LASTS}
    FROM seen GROUP BY user_id, moment
),
states AS (
    SELECT user_id, moment, events AS new_events,
           (sum(moments.events) OVER so_far)::BIGINT AS event_count,
           (sum(priced) OVER so_far)::DOUBLE AS priced,
           (sum(total) OVER so_far)::DOUBLE AS total,
           (sum(squares) OVER so_far)::DOUBLE AS squares,
           (sum(logs) OVER so_far)::DOUBLE AS logs,
           {running(tables.EVENT_TYPES)},
           {_RUNNING_LASTS}
    FROM moments
    WINDOW so_far AS (PARTITION BY user_id ORDER BY moment ROWS UNBOUNDED PRECEDING)
    QUALIFY new_events > 0
),
asked AS (
    SELECT *, greatest(1, event_count - {HISTORY_LENGTH - 1}) AS first FROM states {{states}}
),
category_moments AS (
    SELECT user_id, category, moment, count(*) AS events, max(us) AS us
    FROM seen WHERE positive AND category IS NOT NULL GROUP BY user_id, category, moment
),
category_states AS (
    SELECT user_id, moment, category, (sum(category_moments.events) OVER so_far)::BIGINT AS events,
           max(category_moments.us) OVER so_far AS us
    FROM (SELECT DISTINCT user_id, category FROM category_moments)
    JOIN states USING (user_id) LEFT JOIN category_moments USING (user_id, category, moment)
    WINDOW so_far AS (PARTITION BY user_id, category ORDER BY moment ROWS UNBOUNDED PRECEDING)
),
categories AS (
    SELECT user_id, moment,
           to_json(map(list(category ORDER BY category), list(events ORDER BY category)))
               AS counts,
           to_json(map(list(category ORDER BY category), list(us ORDER BY category))) AS lasts
    FROM category_states WHERE us IS NOT NULL GROUP BY user_id, moment
)
SELECT s.user_id,
       list_slice(item_ids, first, event_count) AS history_item_ids,
       list_slice(event_types, first, event_count) AS history_event_types,
       list_slice(times, first, event_count) AS history_time_us,
       list_slice(quantities, first, event_count) AS history_quantities,
       list_slice(prices, first, event_count) AS history_prices,
       s.* EXCLUDE (user_id, moment, first, new_events, priced, total, squares, logs),
       coalesce(counts, '{{{{}}}}')::VARCHAR AS category_counts,
       coalesce(lasts, '{{{{}}}}')::VARCHAR AS category_last_us,
       total / nullif(priced, 0) / 1e4 AS price_mean,
       sqrt(greatest(0, squares / nullif(priced, 0) - (total / nullif(priced, 0)) ** 2)) / 1e4
           AS price_std,
       logs / nullif(priced, 0) / 1e9 AS log_price_mean,
       s.moment + INTERVAL 1 MICROSECOND AS event_timestamp
FROM asked AS s JOIN chosen USING (user_id)
LEFT JOIN categories USING (user_id, moment)
ORDER BY s.user_id, event_timestamp
"""


def history_sql(*, keys: str = "true", last: bool = False) -> str:
    """The SQL over relations `events` (with the log's order as `number`) and `items`.

    Args:
        keys: a condition on `user_id`.
        last: only each user's newest state.
    """
    newest = "QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY moment DESC) = 1"
    return HISTORY_SQL.format(keys=keys, states=newest if last else "")

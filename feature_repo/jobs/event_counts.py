"""How often each kind of event came, and the rates that follow: SQL that several tables share."""

from collections.abc import Iterable

from feature_repo.feature_tables import PRIOR_SUCCESSES, PRIOR_TRIALS


def counted(kinds: Iterable[str]) -> str:
    """SQL: the events of each kind in a group, as ``KIND_count``."""
    return ",\n".join(f"count(*) FILTER (event_type = '{kind}') AS {kind}_count" for kind in kinds)


def running(kinds: Iterable[str]) -> str:
    """SQL: the same so far, over a window of the query that is called ``so_far``."""
    return ",\n".join(f"(sum({kind}_count) OVER so_far)::BIGINT AS {kind}_count" for kind in kinds)


def rates(*, ctr: str, cvr: str) -> str:
    """SQL: clicks by impression and purchases by click, smoothed, under these names.

    Who clicked without an impression in the log had one, and likewise for purchases.
    """
    return f"""
       (click_count + {PRIOR_SUCCESSES})
           / (greatest(impression_count, click_count) + {PRIOR_TRIALS}) AS {ctr},
       (purchase_count + {PRIOR_SUCCESSES})
           / (greatest(click_count, purchase_count) + {PRIOR_TRIALS}) AS {cvr}"""

"""Joins and materialization that several executors share, each of them a process of its own."""

import os
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from feature_repo.jobs.materialize import materialize
from tests.feature_repo.contract.test_contract import CLICKS, STATS, VECTOR, clicks
from tests.feature_repo.contract.test_contract import stats as stats_rows
from tests.feature_repo.samples import NOW, at

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("environment", ["spark-processes"], indirect=True),
]
ITEMS = 6_000
ASKED = 12_000
WIDTH = 64
TWICE = 7
"""Of so many items one has a second row of the same time, created later."""


def session():
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def rows_shared_by(stages):
    """Executor → rows that it read of the last shuffle of all rows among these stages.

    What a join or a materialization does with the rows it does behind that shuffle, so these are
    the rows that each executor joined or wrote online.
    """
    told = session().sparkContext._jsc.sc().statusStore()
    for stage in sorted(stages, reverse=True):
        summary = told.executorSummary(stage, 0)
        names = [entry._1() for entry in iterated(summary)]
        read = {name: summary.apply(name).shuffleReadRecords() for name in names}
        if sum(read.values()) >= ITEMS:
            return read
    return {}


def iterated(scala):
    """The elements of a collection of Scala's."""
    entries = scala.iterator()
    while entries.hasNext():
        yield entries.next()


@contextmanager
def stages_of():
    """The numbers of the stages that run within the block, once it has ended."""
    tracker, found = session().sparkContext.statusTracker(), []
    before = set(tracker.getJobIdsForGroup())
    yield found
    for job in set(tracker.getJobIdsForGroup()) - before:
        found += tracker.getJobInfo(job).stageIds


def test_executors_are_processes_with_python_workers_of_their_own(store):
    assert clicks(store, pd.DataFrame(asked_rows([("u", "x", "2024-01-05")]))) == [None]

    def parent(_):
        time.sleep(0.2)  # long enough that no executor takes every task
        return os.getppid()

    context = session().sparkContext
    assert context.master == "local-cluster[2,1,1024]"
    parents = set(context.parallelize(range(12), 12).map(parent).collect())
    assert len(parents) == 2
    assert os.getpid() not in parents


def asked_rows(rows):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "event_timestamp"])
    return frame.assign(event_timestamp=pd.to_datetime(frame["event_timestamp"], utc=True))


def test_a_join_that_two_executors_share_gives_every_row_once_in_the_asked_order(store):
    first, second = at("2024-01-01 00:00:00.000001"), at("2024-01-03")
    rows = []
    for number in range(ITEMS):
        rows += [(f"s{number}", first, number), (f"s{number}", second, ITEMS + number)]
        if number % TWICE == 0:
            rows.append((f"s{number}", second, 2 * ITEMS + number, at("2024-06-02")))
    store.replace("item_stats", many_stats(rows), now=NOW)
    generator = np.random.default_rng(0)
    numbers = generator.integers(0, ITEMS + 500, ASKED)  # from ITEMS on: cold
    moments = generator.integers(0, 3, ASKED)  # before both rows, between them, after both
    times = [at("2024-01-01"), at("2024-01-02"), at("2024-01-04")]
    asked = pd.DataFrame(
        {
            "user_id": "the same",  # so that thousands of rows share user and time
            "item_id": [f"s{number}" for number in numbers],
            "event_timestamp": [times[moment] for moment in moments],
        },
        index=generator.permutation(ASKED),
    )
    with stages_of() as stages:
        found = store.historical(asked, STATS, chunk=ASKED)
    pd.testing.assert_frame_equal(found[list(asked.columns)], asked)
    assert str(found["event_timestamp"].dt.tz) == "UTC"
    newest = np.where(numbers % TWICE == 0, 2 * ITEMS, ITEMS) + numbers
    expected = np.where(moments == 1, numbers, newest).astype(float)
    expected[(moments == 0) | (numbers >= ITEMS)] = np.nan
    np.testing.assert_array_equal(found[CLICKS].to_numpy(float), expected)
    shared = rows_shared_by(stages)
    assert set(shared) == {"0", "1"}
    assert min(shared.values()) > 0


def many_stats(rows):
    """Rows as `stats` takes them, with times instead of texts."""
    whole = [row if len(row) == 4 else (*row, at("2024-06-01")) for row in rows]
    template = stats_rows(("any", "2024-01-01", 0))
    columns = ["item_id", "event_timestamp", "click_count", "created_timestamp"]
    frame = pd.DataFrame(whole, columns=columns)
    rest = template.drop(columns=columns).iloc[[0] * len(frame)].reset_index(drop=True)
    return pd.concat([frame, rest], axis=1)


def test_rows_that_two_executors_write_online_at_once_are_all_read_back_bit_by_bit(store):
    values = np.random.default_rng(1).standard_normal((ITEMS, WIDTH)).astype(np.float32)
    frame = pd.DataFrame(
        {
            "item_id": [f"w{number}" for number in range(ITEMS)],
            "vector": list(values),
            "model": "tower:1",
            "event_timestamp": at("2024-01-01"),
        }
    )
    store.replace("item_vector", frame, now=NOW)
    with stages_of() as stages:
        done = materialize(home=store.home, store=store, views=["item_vector"])
    assert done.result.rows == ITEMS
    assert done.read_back.differences == ()
    count = done.read_back.counts["item_vector"]
    assert (count.expected, count.found) == (ITEMS, ITEMS)
    read = store.online(VECTOR, [{"item_id": item} for item in frame["item_id"]])
    online = np.array([row["item_vector__vector"] for row in read], np.float32)
    assert online.tobytes() == values.tobytes()
    shared = rows_shared_by(stages)
    assert set(shared) == {"0", "1"}
    assert min(shared.values()) > 0

"""The pipeline's overlap and its bounds, by an encoder that writes down what happens."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.jobs.pipeline import AHEAD, TURN, Encoded, encoded, short_turns
from feature_repo.jobs.worklist import WORK
from tests.feature_repo.samples import CountingEncoder, at, photo


class Diary(CountingEncoder):
    """Stages as a GPU has them: a batch is launched before the one before it is fetched."""

    def __init__(self, modality: Modality, *, lag: int) -> None:
        super().__init__(modality)
        self.lag = lag
        self.events: list[tuple[str, int]] = []
        self.threads: set[str] = set()
        self.staged = 0

    def stage(self, prepared: Sequence[Any]) -> tuple[int, FloatMatrix]:
        self.threads.add(threading.current_thread().name)
        self.staged += 1
        return self.staged, np.stack(prepared)

    def launch(self, staged: tuple[int, FloatMatrix]) -> tuple[int, FloatMatrix]:
        self.events.append(("launch", staged[0]))
        return staged

    def fetch(self, launched: tuple[int, FloatMatrix]) -> FloatMatrix:
        self.events.append(("fetch", launched[0]))
        return launched[1]


def batch(*values: str) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "value": [value],
                "content_hash": value,
                "item_id": [f"item of {value}"],
                "event_timestamp": [at("2024-01-01")],
                "source": ["shop"],
            }
            for value in values
        ],
        schema=WORK,
    )


def run(encoder: CountingEncoder, batches: Iterator[pa.Table]) -> list[Encoded]:
    with ThreadPoolExecutor(4) as pool:
        return list(encoded(batches, encoder=encoder, pool=pool))


def texts() -> Iterator[pa.Table]:
    return (batch("a" * n, "b" * n) for n in range(1, 5))


def test_a_batch_is_launched_before_the_one_before_it_is_fetched_where_the_device_waits() -> None:
    ahead, plain = Diary(Modality.TEXT, lag=1), Diary(Modality.TEXT, lag=0)
    for diary in (ahead, plain):
        done = run(diary, texts())
        assert [one.vectors[:, :2].tolist() for one in done] == [
            [[n + 1, 1], [1, n + 1]] for n in range(1, 5)
        ]
    assert ahead.events[:4] == [("launch", 1), ("launch", 2), ("fetch", 1), ("launch", 3)]
    assert ahead.events[-1] == ("fetch", 4)
    assert plain.events[:4] == [("launch", 1), ("fetch", 1), ("launch", 2), ("fetch", 2)]
    assert threading.current_thread().name not in ahead.threads


def test_no_more_batches_are_read_than_may_wait() -> None:
    read: list[int] = []

    def batches() -> Iterator[pa.Table]:
        for number in range(20):
            read.append(number)
            yield batch(f"text {number}")

    with ThreadPoolExecutor(4) as pool:
        done = encoded(batches(), encoder=CountingEncoder(Modality.TEXT), pool=pool)
        for expected in range(3):
            next(done)
            time.sleep(0.05)
            assert len(read) <= expected + 1 + AHEAD
        done.close()


def test_a_batch_of_which_nothing_can_be_read_has_refusals_and_no_vectors(tmp_path: Path) -> None:
    good = photo(tmp_path / "good.png", "red")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no photo")
    encoder = CountingEncoder(Modality.IMAGE)
    done = run(encoder, iter([batch(str(bad)), batch(str(good), str(bad)), batch(str(good))]))
    assert [len(one.vectors) for one in done] == [0, 1, 1]
    assert [[refusal.item_id for refusal in one.refused] for one in done] == [
        [f"item of {bad}"],
        [f"item of {bad}"],
        [],
    ]
    assert [one.work.num_rows for one in done] == [0, 1, 1]


def test_threads_take_short_turns_for_the_length_of_a_block() -> None:
    usual = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN, rel=0.01)
    assert sys.getswitchinterval() == usual

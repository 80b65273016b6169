import gc

import numpy as np
import pytest

from validation import spool
from validation.spool import Numbers, Spool


def test_chunks_come_back_in_order_as_often_as_asked() -> None:
    held = Spool[dict[str, int]]()
    assert list(held) == []
    for number in range(4):
        held.add({"chunk": number})
    assert [chunk["chunk"] for chunk in held] == [0, 1, 2, 3]
    held.add({"chunk": 4})
    assert [chunk["chunk"] for chunk in held] == [0, 1, 2, 3, 4]
    assert len(held) == 5


def test_two_readers_of_one_spool_do_not_disturb_each_other() -> None:
    held = Spool[int]()
    for number in range(4):
        held.add(number)
    pairs = [(one, other) for one in held for other in held]
    assert len(pairs) == 16
    assert pairs[-1] == (3, 3)


@pytest.mark.parametrize("limit", [0, 40, 10**9])
def test_numbers_are_the_same_in_memory_and_on_disk(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SPILLED", limit)
    numbers = Numbers()
    parts = [np.arange(start, start + 7, dtype=np.uint32) for start in range(0, 35, 7)]
    for part in parts[:3]:
        numbers.add(part)
    assert numbers.all().tolist() == list(range(21))
    for part in parts[3:]:
        numbers.add(part)
    assert numbers.all().tolist() == list(range(35))
    assert numbers.all().dtype == np.uint32


def test_what_was_read_stays_when_its_owner_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPILLED", 0)
    numbers = Numbers()
    numbers.add(np.arange(5))
    read = numbers.all()
    del numbers
    gc.collect()
    assert read.tolist() == [0, 1, 2, 3, 4]

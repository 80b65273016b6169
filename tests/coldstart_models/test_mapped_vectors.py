"""Ranking reads item vectors where they are on the disk: no start, no request copies them."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coldstart_models.recommending import Recommender
from coldstart_models.served_recommender import load_served
from coldstart_models.siamese import packing
from coldstart_models.siamese.sketch import LARGE
from coldstart_models.training_job import train_job
from coldstart_models.user_history import UserHistory
from feature_repo.feature_tables import ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.vector_snapshot import VECTORS, write_snapshot
from tests.coldstart_models.test_training_job import home_of, unordered_shop
from tests.feature_repo.samples import NOW
from validation import tables

HISTORY = UserHistory(("i00", "i03", "i06"), ("purchase",) * 3, (NOW,) * 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str]:
    """A shop whose vectors have a snapshot, and the tag of the model that made them."""
    home = home_of(unordered_shop(), tmp_path_factory.mktemp("shop"))
    tag = train_job(home=home, now=NOW, seed=0).tag
    assert write_snapshot(home, ITEM_VECTOR.name) is not None
    return home, tag


@pytest.fixture
def recommender(trained: tuple[Home, str], monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """The shop's, as it is served where listings are too many to be held twice."""
    monkeypatch.setattr(packing, "COPIED_BYTES", 0)
    home, tag = trained
    return load_served(home, tag=tag)


def file_behind(array: "np.typing.NDArray[Any]") -> Path | None:
    """The file that an array is mapped from; None where its memory is its own."""
    looked_at: Any = array
    while isinstance(looked_at, np.ndarray):
        if isinstance(looked_at, np.memmap):
            return Path(str(looked_at.filename))
        looked_at = looked_at.base
    return None


def assert_in_place(recommender: Recommender, file: Path) -> None:
    snapshot = recommender._snapshot
    assert file_behind(snapshot.rows) == file
    assert set(snapshot.vectors.values) == set(recommender._scoring.scorer.widths)
    for blocks in (snapshot.vectors, snapshot.blocks.whole.vectors):
        for values in blocks.values.values():
            assert np.shares_memory(values.numpy(), snapshot.rows)


def test_the_scorer_reads_the_vectors_in_the_snapshots_file_whatever_is_learned(
    trained: tuple[Home, str], recommender: Recommender
) -> None:
    folder = trained[0].vector_snapshots(ITEM_VECTOR.name)
    (file,) = folder.glob(f"v*/{VECTORS}")
    assert_in_place(recommender, file)
    recommender.recommend(HISTORY, k=5, pool="all")
    recommender.adapt("i09", [HISTORY], moments=[0.0])
    assert_in_place(recommender, file)
    recommender.reload(trained[0])
    assert_in_place(recommender, file)


class Tensors(TorchDispatchMode):
    """Notes the largest tensor that is made and is no view of another."""

    largest = 0
    """In bytes."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {_memory(one) for one in tree_leaves((args, kwargs)) if torch.is_tensor(one)}
        for one in tree_leaves(made):
            if torch.is_tensor(one) and _memory(one) not in given:
                self.largest = max(self.largest, one.untyped_storage().nbytes())
        return made


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def taken_by(ask: Callable[[], object]) -> tuple[int, int]:
    """Bytes of the largest new tensor, and the most that NumPy and Python took more at once."""
    with Tensors() as tensors:
        ask()
    tracemalloc.start()
    try:
        ask()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return tensors.largest, most


@pytest.mark.parametrize("count", [LARGE // 2, LARGE + 4_000])
@pytest.mark.parametrize("pool", ["all", "new"])
def test_a_request_copies_a_small_part_of_the_vectors_at_most(
    recommender: Recommender, tmp_path: Path, count: int, pool: str
) -> None:
    snapshot = recommender._snapshot
    like = np.arange(count) % len(snapshot.items)
    file = tmp_path / VECTORS
    snapshot.rows[like].tofile(file)
    names = [
        *snapshot.item_ids,
        *(f"j{number:05d}" for number in range(count - len(snapshot.items))),
    ]
    items = snapshot.items.iloc[like].assign(**{tables.ITEM_ID: names}).reset_index(drop=True)
    width = snapshot.rows.shape[1]
    many = replace(
        snapshot,
        items=items,
        rows=np.asarray(np.memmap(file, np.float32, "c", shape=(count, width))),
        new=np.arange(count) % 2 == 0,
        deltas=np.zeros((count, width - 1), np.float32),
        biases=np.zeros(count, np.float32),
        support=np.zeros(count, np.int64),
        sketch=None,
        sales=None,
    )
    recommender._snapshot = recommender._sketched(many)
    assert_in_place(recommender, file)
    found = recommender.recommend(HISTORY, k=10, pool=pool)
    assert len({one.item_id for one in found}) == 10
    tensor, arrays = taken_by(lambda: recommender.recommend(HISTORY, k=10, pool=pool))
    assert 0 < tensor < many.rows.nbytes / 4
    assert 0 < arrays < many.rows.nbytes / 4

import numpy as np
import pandas as pd
import pytest

from tests.validation.conftest import NOW
from validation import gate, vectors


def cloud(count: int, *, seed: int, shift: float = 0.0) -> vectors.FloatMatrix:
    """Vectors around ten centres, moved along the first axis."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(0, 1, (10, 24))
    drawn = centres[generator.integers(0, 10, count)] + generator.normal(0, 0.2, (count, 24))
    drawn[:, 0] += shift
    return drawn.astype(np.float32)


def test_a_batch_from_the_same_place_does_not_drift_and_a_moved_one_does() -> None:
    reference = cloud(2_000, seed=1)
    same = vectors.drift(cloud(500, seed=2), reference)
    moved = vectors.drift(cloud(500, seed=2, shift=2.0), reference)
    assert same is not None
    assert moved is not None
    assert (same.matters, moved.matters) == (False, True)
    assert moved.effect > same.effect
    assert moved.p_value < same.p_value


def test_too_few_vectors_say_nothing_of_drift() -> None:
    assert vectors.drift(cloud(99, seed=2), cloud(500, seed=1)) is None


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    batch = cloud(30, seed=3)
    unit = batch / np.linalg.norm(batch, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[np.triu_indices(30, 1)]
    assert vectors.mean_cosine(batch) == pytest.approx(pairs.mean(), abs=1e-6)
    assert vectors.mean_cosine(np.ones((5, 4), np.float32)) == pytest.approx(1.0)
    assert vectors.mean_cosine(np.ones((1, 4), np.float32)) == 0.0


def test_a_vector_like_none_is_far_out_and_known_kinds_are_not() -> None:
    reference = cloud(1_000, seed=1)
    batch = np.vstack([cloud(200, seed=4), -reference.mean(axis=0) * 50 + 3]).astype(np.float32)
    far = vectors.far_out(batch, reference)
    assert far[-1] == 1.0
    assert (far[:200] > vectors.FAR_QUANTILE).mean() < 0.02
    assert not vectors.far_out(batch, reference[:50]).any()


def frame(batch: vectors.FloatMatrix, encoder_hash: str = "h1") -> pd.DataFrame:
    ids = [f"i{number}" for number in range(len(batch))]
    return pd.DataFrame({"item_id": ids, "embedding": list(batch), "encoder_hash": encoder_hash})


def test_the_gate_warns_of_what_is_far_out_and_notes_drift() -> None:
    reference = cloud(1_000, seed=1)
    odd = np.vstack([cloud(200, seed=4), np.full((1, 24), 9.0)]).astype(np.float32)
    result = gate.check_embeddings(frame(odd), width=24, now=NOW, reference=reference)
    assert result.warnings["key"].tolist()[-1] == "i200"
    assert set(result.reason_counts) == {"vector_near_others"}
    assert result.notes == ()
    moved = gate.check_embeddings(
        frame(cloud(200, seed=4, shift=2.0)), width=24, now=NOW, reference=reference
    )
    assert "drifted" in moved.notes[0]


def test_the_gate_notes_a_collapsed_batch_and_blocks_another_encoder() -> None:
    flat = np.ones((50, 8), np.float32) + cloud(50, seed=5)[:, :8] * 1e-3
    result = gate.check_embeddings(frame(flat), width=8, now=NOW)
    assert "nearly the same" in result.notes[0]
    mixed = frame(cloud(4, seed=6)).assign(encoder_hash=["h1", "h2", "h1", None])
    result = gate.check_embeddings(mixed, width=24, now=NOW, encoder_hash="h1")
    assert result.quarantined["key"].tolist() == ["i1", "i3"]
    assert set(result.reason_counts) == {"vector_encoder", "encoder_hash_present"}

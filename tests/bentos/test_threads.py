"""How many threads the service computes with."""

import os

import pytest
import torch

from bentos.recommender import threads


def test_requests_compute_on_one_thread_and_batches_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    try:
        threads.one_each()
        assert torch.get_num_threads() == 1
        with threads.all_processors():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(usual)

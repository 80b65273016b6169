"""How many threads the service computes with."""

import os
import threading

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


def test_a_request_that_first_computes_meanwhile_keeps_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, batch_is_done, told = torch.get_num_threads(), threading.Event(), list[int]()
    monkeypatch.setattr(os, "cpu_count", lambda: 3)

    def answer() -> None:
        torch.ones(300, 300).matmul(torch.ones(300, 300))
        told.append(torch.get_num_threads())
        batch_is_done.wait(60)
        told.append(torch.get_num_threads())

    request = threading.Thread(target=answer)
    try:
        threads.one_each()
        with threads.all_processors():
            request.start()
            torch.ones(300, 300).matmul(torch.ones(300, 300))
            assert torch.get_num_threads() == 3
        batch_is_done.set()
        request.join(60)
        assert told == [1, 1]
    finally:
        torch.set_num_threads(usual)

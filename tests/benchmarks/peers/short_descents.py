"""Peers that learn by gradients take few steps, where what they learn is not what is tested."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import pytest

from benchmarks.peers import aldi, clcrec, dropoutnet, melu, meta_embedding, networks

STEPS: Final = 5


@pytest.fixture
def short_descents(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(parameters: Any, losses: Iterable[Any], **how: Any) -> None:
        networks.descend(parameters, islice(losses, STEPS), **how)

    for module in (aldi, clcrec, dropoutnet, melu, meta_embedding):
        monkeypatch.setattr(module, "descend", short)

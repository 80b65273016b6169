"""The least that a service could do: one raw read from Redis and one product of ready arrays.

Served beside the recommender by ``make bench-serving``, on BentoML as that is. The files are those
that `benchmarks.serving` writes: the user's row as Redis holds it is asked for and not
decoded, the vectors of the history and of the candidates are multiplied and the best ten named.
As the recommender it has Bento begin no spans where no exporter takes them, and has Bento's access
log off, whose line is written before an answer's last byte: what Bento does unasked is no part of
the least.
"""

import os
from pathlib import Path
from typing import Any, Final

import bentoml
import numpy as np
import redis
from pydantic import BaseModel

from bentos.recommender.observing.tracing import trace_where_it_is_of_use

FOLDER_VARIABLE: Final = "COLDSTART_FLOOR"
"""Names the folder with `seen.npy`, `offered.npy`, `item_ids.npy` and `key`."""
K: Final = 10


class FloorRequest(BaseModel):
    """As small as a request of `recommend`."""

    user_id: str
    k: int = K


class FloorItem(BaseModel):
    """As a recommended listing, without what is told of it."""

    item_id: str
    score: float


class FloorResponse(BaseModel):
    """As a response of `recommend`."""

    items: list[FloorItem]


trace_where_it_is_of_use()


@bentoml.service(
    name="coldstart_floor", workers=1, threads=4, logging={"access": {"enabled": False}}
)
class Floor:
    """Reads, multiplies, answers."""

    def __init__(self) -> None:
        folder = Path(os.environ[FOLDER_VARIABLE])
        host, port = os.environ["COLDSTART_REDIS"].split(":")
        self.key = (folder / "key").read_bytes()
        self.seen, self.offered = (np.load(folder / f"{name}.npy") for name in ("seen", "offered"))
        self.item_ids: Any = np.load(folder / "item_ids.npy")
        self.store = redis.Redis(host=host, port=int(port))

    @bentoml.api  # type: ignore[untyped-decorator]
    def recommend(self, params: FloorRequest, /) -> FloorResponse:
        """The ten with the highest sum over the history."""
        if not self.store.hgetall(self.key):
            raise RuntimeError("Redis holds no row of the user")
        scores = (self.seen @ self.offered.T).sum(axis=0)
        best = np.argpartition(scores, -params.k)[-params.k :]
        order = best[np.argsort(-scores[best])]
        return FloorResponse(
            items=[
                FloorItem(item_id=str(self.item_ids[row]), score=float(scores[row]))
                for row in order
            ]
        )

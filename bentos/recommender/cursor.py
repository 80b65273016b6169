"""Where a list goes on: a token that carries what was shown, signed.

A place in a ranking moves whenever a listing or an event is pushed. So the token carries the ids
that were shown, and the next page is the best of the others: nothing is shown twice, whatever was
pushed meanwhile, and the server keeps nothing. The signature (HMAC-SHA256 under a key of the state
folder) covers what was asked too, so a token goes on with its own list alone.
"""

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bentoml.exceptions import BadInput

from bentos.recommender.payloads.shapes import MAX_SCORED, MAX_TOKEN

if TYPE_CHECKING:
    from bentos.recommender.payloads import RecommendRequest

WINDOW_BITS: Final = 12
MEMORY_LEVEL: Final = 5
"""Of the compressor: 32 kB together. By default it takes a quarter of a megabyte each time."""
SIGNATURE: Final = 16
"""Bytes of the HMAC that are kept."""
LARGEST: Final = 1 << 20
"""Bytes that a token may unpack to."""
MOVES: Final = frozenset({"after", "k", "session"})
"""What may differ from page to page: a visitor clicks, a screen is longer."""


class Cursors:
    """Makes and reads the tokens of one state folder."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def shown(self, params: "RecommendRequest") -> list[str]:
        """The ids that the token of a request says were shown. Raises BadInput."""
        if params.after is None:
            return []
        try:
            packed = base64.urlsafe_b64decode(params.after.encode("ascii"))
        except (ValueError, binascii.Error) as error:
            raise BadInput(f"`after` is not a token of this service: {error}") from error
        signature, body = packed[:SIGNATURE], packed[SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(params, body)):
            raise BadInput(
                "`after` does not belong to this request: send the token of the page before with "
                "the same person, pool, filters and arrangement"
            )
        told: list[str] = json.loads(zlib.decompressobj().decompress(body, LARGEST))
        return told

    def after(self, params: "RecommendRequest", shown: Sequence[str]) -> str | None:
        """A token with which the list goes on; None where it has become too long."""
        if len(shown) >= MAX_SCORED:
            return None
        packer = zlib.compressobj(9, wbits=WINDOW_BITS, memLevel=MEMORY_LEVEL)
        body = packer.compress(json.dumps(list(shown), separators=(",", ":")).encode())
        body += packer.flush()
        token = base64.urlsafe_b64encode(self._signature(params, body) + body).decode("ascii")
        return token if len(token) <= MAX_TOKEN else None

    def _signature(self, params: "RecommendRequest", body: bytes) -> bytes:
        asked = params.model_dump(mode="json", exclude=set(MOVES))
        told = json.dumps(asked, sort_keys=True).encode()
        return hmac.new(self._key, hashlib.sha256(told).digest() + body, hashlib.sha256).digest()[
            :SIGNATURE
        ]

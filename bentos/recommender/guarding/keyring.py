"""The keys that count now: those of the environment, and of a file that may change meanwhile."""

import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from coldstart_models.api_keys import ApiKey, digest_of, keys_of_environment, read_keys
from coldstart_models.errors import ApiKeyError
from validation.whole_files import identity_of

logger = logging.getLogger("bentoml.coldstart")

LOOK_SECONDS: Final = 0.5
"""Between looks whether the file has changed."""
FINGERPRINT: Final = 16
"""Hexadecimal digits of a digest that say which key it may be."""
NO_DIGEST: Final = "0" * 64
LONGEST: Final = 1024
"""Characters of a key that are looked at."""


class Keyring:
    """Finds the key that a token is, if it is one.

    Tokens are compared by their digests, in the same time whether and where they differ. Which
    digest to compare with is found by its first digits: whoever wanted to learn from how long that
    takes would need tokens whose digests they can choose.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ApiKeyError where the file or the environment cannot be read."""
        self._file = file
        self._clock = clock
        self._environment = keys_of_environment()
        try:
            self._seen = identity_of(file)
        except OSError as error:
            raise ApiKeyError(f"the keys in {file} cannot be read: {error}") from error
        self._known = _by_fingerprint([*self._environment, *read_keys(file)])
        self._looked = clock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, token: str) -> ApiKey | None:
        """The key, or None for what is none."""
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        digest = digest_of(token[:LONGEST])
        key = self._known.get(digest[:FINGERPRINT])
        same = hmac.compare_digest(digest, key.digest if key else NO_DIGEST)
        return key if same else None

    def _look(self) -> None:
        """Take up a file that changed; one that cannot be read leaves the keys as they were."""
        try:
            seen = identity_of(self._file)
        except OSError as error:  # its folder is away, perhaps, or not to be searched
            logger.error("the API keys stay as they were: %s", error)
            return
        if seen == self._seen:
            return
        try:
            known = _by_fingerprint([*self._environment, *read_keys(self._file)])
        except ApiKeyError as error:
            logger.error("the API keys stay as they were: %s", error)
        else:
            logger.info("the API keys were read anew: %d", len(known))
            self._known = known
        self._seen = seen


def _by_fingerprint(keys: list[ApiKey]) -> dict[str, ApiKey]:
    return {key.digest[:FINGERPRINT]: key for key in keys}

"""What can go wrong in learning and ranking.

    ModelError
    ├── ConfigError        a configuration key or value is wrong
    ├── NotEnoughData      too few items, users or events for what was asked
    ├── UnknownUser        no such user in the features
    ├── UnknownItem        no such item in the features
    ├── ArtifactError      a model cannot be saved, found or read
    ├── ContractMismatch   a model was trained on other features than the store holds
    ├── NotBetter          an adapted encoder is no better than its base
    ├── ErasureError       a person cannot be erased as asked
    ├── ApiKeyError        a key of the service is not as it should be, or there is none
    └── StreamError        a message queue cannot be used as it was asked to be
        └── StreamLost     it does not answer now; it may later

A caller that serves people writes::

    try:
        recommender = Recommender.load(home)
    except ContractMismatch as mismatch:
        sys.exit(str(mismatch))
"""

from collections.abc import Mapping
from typing import Any


class ModelError(Exception):
    """Root of every error this package raises on purpose."""


class ConfigError(ModelError):
    """A configuration key or value is wrong."""


class NotEnoughData(ModelError):  # noqa: N818 - reads as the fact it states
    """Too few items, users or events for what was asked."""


class UnknownUser(ModelError):  # noqa: N818
    """No such user in the features."""


class UnknownItem(ModelError):  # noqa: N818
    """No such item in the features."""


class ArtifactError(ModelError):
    """A model cannot be saved, found or read."""


class ContractMismatch(ModelError):  # noqa: N818
    """A model was trained on other features than the store holds."""


class NotBetter(ModelError):  # noqa: N818
    """An adapted encoder is no better than its base on items it did not learn from."""

    def __init__(self, message: str, found: Mapping[str, Any] | None = None) -> None:
        """`found` is what every check found and what that cost, JSON-ready; empty of processes that
        are not to tell it."""
        super().__init__(message)
        self.found = dict(found or {})


class StreamError(ModelError):
    """A message queue cannot be used as it was asked to be."""


class StreamLost(StreamError):  # noqa: N818
    """The message queue does not answer now; it may later."""


class ErasureError(ModelError):
    """A person cannot be erased as asked."""


class ApiKeyError(ModelError):
    """A key of the service is not as it should be, or there is none."""

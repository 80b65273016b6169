"""What the guards go by: who may ask, how often and how much."""

import sys
from dataclasses import dataclass, field
from typing import Self

import bentoml
from bentoml.exceptions import BentoMLException

from bentos.recommender.guarding.buckets import Buckets
from bentos.recommender.guarding.keyring import Keyring
from coldstart_models.api_keys import is_open, keys_file, require_keys
from coldstart_models.config import ServeConfig
from coldstart_models.errors import ApiKeyError
from feature_repo.home import Home


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one running service."""

    keyring: Keyring | None
    """None where the development switch lets everybody in."""
    largest_body: int
    """Bytes."""
    buckets: Buckets = field(default_factory=Buckets)
    most_held: int = sys.maxsize
    """Bytes of all bodies that are in memory."""

    @classmethod
    def of(cls, home: Home, settings: ServeConfig) -> Self:
        """As the environment, the file of keys and the configuration say. Raises ApiKeyError."""
        keyring = None if is_open() else Keyring(keys_file(home))
        buckets = Buckets(settings.rate, settings.burst)
        held = settings.max_in_flight * settings.largest_body
        return cls(keyring, settings.largest_body, buckets, most_held=held)


def current() -> Guard | None:
    """The rules of the service of this process; None before there is one."""
    try:
        return getattr(bentoml.get_current_service(), "guard", None)
    except BentoMLException:
        return None


def refuse_without_keys(home: Home) -> None:
    """Before any worker starts: raise BentoMLException where nobody could ask."""
    try:
        require_keys(home)
    except ApiKeyError as error:
        raise BentoMLException(f"the recommender does not start: {error}") from error

"""The model to begin with: the one that is asked for, or where it is corrupt the newest sound one.

A service that refused to start because a file of its newest model is torn would answer nobody,
while models that answered until then lie beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from coldstart_models.artifacts import MODEL_NAME, StoredModel, find_model, model_tags
from coldstart_models.errors import ArtifactError, ModelError
from coldstart_models.served_model import read_choice
from feature_repo.home import Home

T = TypeVar("T")
UNREADABLE: Final = (ArtifactError, OSError, ValueError, KeyError, TypeError)
"""What reading a model's torn files ends in; that it does not fit the features is another thing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that was asked for, and why it is not served."""

    tag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Begun(Generic[T]):
    """What is served."""

    stored: StoredModel
    loaded: T
    refused: Refused | None = None


def begin(
    home: Home, *, tag: str, load: Callable[[StoredModel], T], or_earlier: bool = True
) -> Begun[T]:
    """Load the model; where it cannot be read, the one before it that can.

    Args:
        load: checks a model and loads what is needed of it; raises ModelError.
        or_earlier: false where somebody named this model and no other.

    Raises:
        ModelError: of the model that was asked for, where no other is sound either or it does not
            fit the features.
    """
    try:
        stored = find_model(home, tag=tag)
        return Begun(stored, load(stored))
    except UNREADABLE as error:
        wrong = error if isinstance(error, ModelError) else _unreadable(tag, error)
    for earlier in _others(home, tag) if or_earlier else ():
        try:
            loaded = load(earlier)
        except (ModelError, *UNREADABLE):
            continue
        return Begun(earlier, loaded, Refused(_asked(home, tag), str(wrong)))
    raise wrong


def _others(home: Home, tag: str) -> Iterator[StoredModel]:
    """Sound-looking models but the one that was asked for: those served before, then the newest."""
    found = dict[str, StoredModel]()
    for one in model_tags(home, name=MODEL_NAME):
        try:
            found[one] = find_model(home, tag=one)
        except UNREADABLE:
            continue
    try:
        choice = read_choice(home)
    except ArtifactError:
        choice = None
    served = reversed(choice.earlier) if choice else ()
    newest = sorted(found, key=lambda one: found[one].created_at, reverse=True)
    asked = _asked(home, tag)
    for one in dict.fromkeys((*served, *newest)):
        if one in found and one != asked:
            yield found[one]


def _asked(home: Home, tag: str) -> str:
    """The whole tag, where the model can be found."""
    try:
        return find_model(home, tag=tag).tag
    except UNREADABLE:
        return tag if ":" in tag else f"{MODEL_NAME}:{tag}"


def _unreadable(tag: str, error: Exception) -> ArtifactError:
    return ArtifactError(f"the model {tag} cannot be read: {type(error).__name__}: {error}")

"""Which model is served: a choice in the state folder that running services notice.

The choice is one small JSON file that is replaced whole, so a reader finds the old one or the new
one. Where nothing was chosen, the model that was saved last is served. `COLDSTART_MODEL` goes
before the choice: a process that was started with it serves that model alone.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from coldstart_models.artifacts import LATEST, StoredModel, find_model, list_models
from coldstart_models.errors import ArtifactError
from feature_repo.home import Home
from validation.whole_files import alone, flush, replacing

MODEL_VARIABLE: Final = "COLDSTART_MODEL"
REMEMBERED: Final = 10
"""So many earlier choices can be gone back to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model to serve, and what was served before it."""

    tag: str
    chosen_at: datetime
    earlier: tuple[str, ...] = ()
    """Oldest first."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "model": self.tag,
            "chosen_at": self.chosen_at.astimezone(UTC).isoformat(),
            "earlier": list(self.earlier),
        }


def read_choice(home: Home) -> Choice | None:
    """What was chosen; None where nothing was. Raises ArtifactError where it cannot be read."""
    try:
        kept = json.loads(home.served_model.read_text(encoding="utf-8"))
        moment = datetime.fromisoformat(kept["chosen_at"])
        return Choice(str(kept["model"]), moment, tuple(map(str, kept["earlier"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{home.served_model} does not say which model to serve ({error}); "
            "choose again: `coldstart models use TAG`"
        ) from error


def served_tag(home: Home, *, packed: str | None = None) -> str:
    """The model that a process on this folder serves, where it was not told by COLDSTART_MODEL.

    Args:
        packed: the model that a Bento was built with, served where nothing was chosen.
    """
    choice = read_choice(home)
    return choice.tag if choice else packed or LATEST


def choose(home: Home, *, tag: str, now: datetime) -> Choice:
    """Serve this model from here on; running services notice within a second.

    Choosing what is chosen already tells the services to try it again.
    """
    stored = find_model(home, tag=tag)
    with alone(_lock(home)):
        before = _readable_choice(home)
        earlier = before.earlier if before else ()
        served = before.tag if before else _otherwise(home, stored)
        if served is not None and served != stored.tag:
            earlier = (*earlier, served)
        chosen = Choice(stored.tag, now, earlier[-REMEMBERED:])
        _write(home, chosen)
    return chosen


def go_back(home: Home, *, now: datetime) -> Choice:
    """Serve what was chosen before. Raises ArtifactError where that is nothing, or gone."""
    with alone(_lock(home)):
        before = read_choice(home)
        if before is None or not before.earlier:
            raise ArtifactError(
                "no model was chosen before this one; `coldstart models list` shows what there is, "
                "`coldstart models use TAG` serves one of them"
            )
        stored = find_model(home, tag=before.earlier[-1])
        chosen = replace(before, tag=stored.tag, chosen_at=now, earlier=before.earlier[:-1])
        _write(home, chosen)
    return chosen


def note_started(home: Home, tag: str) -> None:
    """Remember what a service began to serve, so that the first choice can be taken back to it."""
    if _started(home) != tag:
        with replacing(home.started_model) as partial:
            partial.write_text(json.dumps({"model": tag}) + "\n", encoding="utf-8")


def _started(home: Home) -> str | None:
    """What a service began to serve last; None where that is not known."""
    try:
        return str(json.loads(home.started_model.read_text(encoding="utf-8"))["model"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _readable_choice(home: Home) -> Choice | None:
    """A file that says nothing is written over."""
    try:
        return read_choice(home)
    except ArtifactError:
        return None


def _otherwise(home: Home, chosen: StoredModel) -> str | None:
    """What services serve that nobody told: what one began with, else the newest other model."""
    known, started = [model.tag for model in list_models(home)], _started(home)
    if started in known:
        return started
    others = [tag for tag in known if tag != chosen.tag]
    return others[-1] if others else None


def _write(home: Home, choice: Choice) -> None:
    with replacing(home.served_model) as partial:
        partial.write_text(json.dumps(choice.to_json(), indent=2) + "\n", encoding="utf-8")
        flush(partial)
    flush(home.root)


def _lock(home: Home) -> Path:
    return home.served_model.with_name(f".{home.served_model.name}.lock")

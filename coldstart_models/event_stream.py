"""What the consumer asks of a message queue, and how a message is an event.

A message is one event. Either its field `event` holds a JSON object of the canonical event
columns, or its fields are these columns, as text. Without `event_id` the message's own id is the
event's: the queue may deliver it again, but who sends an event twice gives it an id. Without
`event_timestamp` it is the time at which the queue took it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import pandas as pd

from validation import tables

EVENT: Final = "event"
"""The field that holds a JSON object."""
SOURCE: Final = "stream"
"""Value of `source` where a message gives none."""
MAX_DELIVERIES: Final = 5
"""A message that was delivered so often and never taken in is held back."""
TOGETHER: Final = 2
"""Up to this delivery messages are taken in together."""
SHOWN: Final = 2_000
"""Characters of a message that quarantine keeps where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came."""

    id: str
    """Unique in the stream; the same at every delivery."""
    fields: Mapping[bytes, bytes]
    taken_at: datetime
    """When the queue took it."""
    deliveries: int = 1
    """How often it was delivered, this time included."""


class EventStream(Protocol):
    """A queue whose group remembers what was acknowledged.

    Every method raises StreamLost while the queue does not answer.
    """

    name: str
    """Of the stream, for ids and for people."""

    def read(self, *, limit: int, wait: float) -> list[Message]:
        """Up to `limit` messages that nobody has, in order; waits `wait` seconds for the first.

        Messages whose consumer died come again.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """These need not be delivered again."""

    def outstanding(self) -> int:
        """Messages that are not acknowledged: not delivered yet, or in somebody's hands."""

    def close(self) -> None:
        """Give the connection back. What was not acknowledged is delivered again."""


def event_frame(messages: Sequence[Message], *, stream: str) -> pd.DataFrame:
    """The messages as raw events, one row each, in order; what cannot be read says why."""
    names = [*tables.EVENTS.names, tables.UNREADABLE]
    rows = [event_row(message, stream=stream) for message in messages]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    readable = frame[tables.UNREADABLE].isna().all()
    return frame.drop(columns=tables.UNREADABLE) if readable else frame


def event_row(message: Message, *, stream: str) -> dict[str, Any]:
    """One raw event by column."""
    row: dict[str, Any] = {tables.EVENT_ID: f"{stream}:{message.id}", tables.SOURCE: SOURCE}
    place = f"stream {stream}, message {message.id}"
    if message.deliveries > MAX_DELIVERIES:
        told = f"delivered {message.deliveries} times and never taken in: {_shown(message)}"
        return {**row, tables.UNREADABLE: f"{place}: {told}"}
    try:
        given = _given(message)
    except ValueError as error:
        return {**row, tables.UNREADABLE: f"{place}: {error}: {_shown(message)}"}
    row[tables.EVENT_TIMESTAMP] = message.taken_at
    return {**row, **{name: value for name, value in given.items() if value not in (None, "")}}


def _given(message: Message) -> dict[str, Any]:
    """The columns that a message names. Raises ValueError saying what it is instead."""
    content = {key.decode("utf-8", "replace"): value for key, value in message.fields.items()}
    if EVENT not in content:
        known = set(content) & set(tables.EVENTS.names)
        if not known:
            raise ValueError(
                f"neither a field {EVENT!r} with a JSON object nor a column of an event among "
                f"its fields ({', '.join(sorted(content)) or 'none'})"
            )
        return {name: _text(content[name], name) for name in known}
    text = _text(content[EVENT], EVENT)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the field {EVENT!r} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"the field {EVENT!r} is not a JSON object")
    return {name: found[name] for name in tables.EVENTS.names if name in found}


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the field {name!r} is not UTF-8") from error


def _shown(message: Message) -> str:
    """The message's content for a person, cut where it is long."""
    told = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in message.fields.items()
    }
    return json.dumps(told, ensure_ascii=False)[:SHOWN]

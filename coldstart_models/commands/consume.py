"""`coldstart consume`: events from a message queue become features within a second."""

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from coldstart_models.commands import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from coldstart_models.consuming import Consumed
    from coldstart_models.event_stream import EventStream

NAME: Final = "consume"
EXAMPLES: Final = """Examples:

  coldstart consume redis://localhost:6379/0 --stream shop-events

  coldstart consume redis://localhost:6379/0 --until-idle --json

  redis-cli XADD events '*' event_id e-1 user_id u-1 item_id lamp-2 event_type click
"""
URL_VARIABLE: Final = "COLDSTART_STREAM_URL"
TELL_EVERY: Final = 10.0
"""Seconds between the lines that say how far it is."""
PATIENCE: Final = 30.0
"""Seconds without an answer after which a run that has an end gives up."""


def run(
    url: Annotated[
        str | None,
        typer.Argument(
            help="redis://[USER:PASSWORD@]HOST:PORT/DB, rediss:// with TLS, or unix://PATH; by "
            f"default what {URL_VARIABLE} holds, where nobody sees a password."
        ),
    ] = None,
    stream: Annotated[str, typer.Option(help="The stream's key.")] = "events",
    group: Annotated[
        str, typer.Option(help="The consumer group, which keeps the offsets.")
    ] = "coldstart",
    consumer: Annotated[
        str | None, typer.Option(help="This consumer's name; host, process and time by default.")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Messages of a batch at most.")] = 500,
    max_wait: Annotated[
        float, typer.Option(min=0, help="Seconds from a batch's first message to its end.")
    ] = 0.05,
    claim_after: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds until a dead consumer's messages are taken over."),
    ] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Take one batch in and end.")] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when every message is acknowledged.")
    ] = False,
    config: console.ConfigFile = None,
    json: console.Json = False,
) -> None:
    """Gate, log and push the events of a stream; acknowledge them after that.

    May run beside the service and beside other consumers. SIGTERM and Ctrl-C let it finish the
    batch at hand.
    """
    from coldstart_models.config import load_config
    from coldstart_models.consuming import Batching, Until, consume
    from coldstart_models.event_intake import event_taker
    from feature_repo.home import Home

    if once and until_idle:
        raise typer.BadParameter("give --once or --until-idle, not both")
    address = url or os.environ.get(URL_VARIABLE)
    if not address:
        raise typer.BadParameter(f"give the queue's URL, or set {URL_VARIABLE}")
    until = Until.ONCE if once else Until.IDLE if until_idle else Until.STOPPED
    take = event_taker(Home.current(), rules=load_config(config).gate.rules())
    source = _opened(
        address, stream=stream, group=group, consumer=consumer, claim_after=claim_after
    )
    stop = _stopped_by_signals()
    try:
        done = consume(
            source,
            take,
            stop=stop,
            batching=Batching(max_batch, max_wait),
            until=until,
            give_up_after=None if until is Until.STOPPED else PATIENCE,
            told=_teller(),
        )
    finally:
        source.close()
    if json:
        console.print_json(done.as_dict())
    else:
        console.say(_line(done))


def _opened(
    url: str, *, stream: str, group: str, consumer: str | None, claim_after: float
) -> "EventStream":
    from coldstart_models.redis_stream import RedisStream

    return RedisStream(url, stream=stream, group=group, consumer=consumer, claim_after=claim_after)


def _stopped_by_signals() -> threading.Event:
    """Set by SIGTERM or SIGINT; a second one ends the process at once."""
    stop = threading.Event()

    def asked(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    return stop


def _teller() -> "Callable[[Consumed], None]":
    """A line on standard error now and then, where something happened."""
    from rich.console import Console

    errors = Console(stderr=True, highlight=False)
    told_at, told_messages = time.monotonic(), 0

    def tell(done: "Consumed") -> None:
        nonlocal told_at, told_messages
        if time.monotonic() - told_at >= TELL_EVERY and done.messages > told_messages:
            errors.print(_line(done), style="dim")
            told_at, told_messages = time.monotonic(), done.messages

    return tell


def _line(done: "Consumed") -> str:
    lag = "unknown" if done.lag is None else str(done.lag)
    return (
        f"{done.messages} messages: {done.accepted} accepted, {done.duplicates} known before, "
        f"{done.quarantined} in quarantine; {done.rate:.0f} events/s, lag {lag}"
    )

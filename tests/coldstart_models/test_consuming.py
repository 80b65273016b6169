"""Messages become events once, whatever dies in between; with a real Redis from Debian."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis

from coldstart_models.consuming import Batching, Until, consume
from coldstart_models.errors import StreamError, StreamLost
from coldstart_models.event_intake import EventsResult
from coldstart_models.event_stream import MAX_DELIVERIES, Message, event_frame
from coldstart_models.redis_stream import RedisStream
from feature_repo.event_log import event_log
from feature_repo.feature_tables import ITEM_STATS, USER_HISTORY
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.store import Store
from tests import redis_servers
from tests.feature_repo.samples import write_items
from tests.forking import Command
from validation import quarantine, tables

NOW = pd.Timestamp("2026-06-01", tz="UTC").to_pydatetime()
CLICK = {"user_id": "ann", "item_id": "lamp", "event_type": "click"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that has nothing to do looks again at once."""
    monkeypatch.setattr("coldstart_models.consuming.IDLE_WAIT", 0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_servers.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    client = redis.Redis.from_url(server)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    write_items(home, *({"item_id": name, "title": name, "price": 5.0} for name in ("lamp", "rug")))
    return home


class Taker:
    """Keeps what it was given; fails or dies where it is told to."""

    def __init__(self, *, fails_on: str | None = None) -> None:
        self.frames: list[pd.DataFrame] = []
        self.fails_on = fails_on

    def __call__(self, frame: pd.DataFrame) -> EventsResult:
        if self.fails_on in set(frame[tables.EVENT_ID]):
            raise RuntimeError("a bug")
        self.frames.append(frame)
        return EventsResult(tuple(frame[tables.EVENT_ID]), (), (), (), ())

    @property
    def ids(self) -> list[str]:
        return [event_id for frame in self.frames for event_id in frame[tables.EVENT_ID]]


def stream(server: str, **options: Any) -> RedisStream:
    return RedisStream(server, stream="events", group="g", **{"claim_after": 0.2, **options})


def add(client: Any, *rows: dict[str, Any]) -> None:
    for row in rows:
        client.xadd("events", {"event": json.dumps(row)})


def run(source: RedisStream, take: Any, **options: Any) -> Any:
    settings = {"stop": threading.Event(), "until": Until.IDLE, "give_up_after": 20.0, **options}
    try:
        return consume(source, take, **settings)
    finally:
        source.close()


def pending(client: Any, group: str = "g") -> int:
    return int(client.xpending("events", group)["pending"])


def test_messages_come_in_order_in_batches_and_are_acknowledged(server: str, client: Any) -> None:
    add(client, *({**CLICK, "event_id": f"e{number}"} for number in range(25)))
    take = Taker()
    done = run(stream(server), take, batching=Batching(size=10))
    assert take.ids == [f"e{number}" for number in range(25)]
    assert max(len(frame) for frame in take.frames) == 10
    assert (done.messages, done.accepted, done.lag, pending(client)) == (25, 25, 0, 0)
    assert client.xinfo_consumers("events", "g") == []
    add(client, {**CLICK, "event_id": "later"})
    again = Taker()
    run(stream(server), again)
    assert again.ids == ["later"]


def test_a_message_is_json_or_columns_and_gets_id_and_time_from_the_stream(
    server: str, client: Any
) -> None:
    first = client.xadd("events", {**CLICK, "quantity": "2", "session_id": ""}).decode()
    client.xadd("events", {"event": json.dumps({**CLICK, "event_id": "own", "quantity": 3})})
    take = Taker()
    run(stream(server), take)
    frame = pd.concat(take.frames)
    assert list(frame[tables.EVENT_ID]) == [f"events:{first}", "own"]
    assert list(frame[tables.QUANTITY]) == ["2", 3]
    assert frame[tables.SESSION_ID].isna().all()
    assert set(frame[tables.SOURCE]) == {"stream"}
    taken_at = frame[tables.EVENT_TIMESTAMP].iloc[0]
    assert taken_at.timestamp() == int(first.partition("-")[0]) / 1000


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"event": "{"}, "is not JSON"),
        ({"event": "[1]"}, "is not a JSON object"),
        ({"event": b"\xff"}, "is not UTF-8"),
        ({"user_id": b"\xff"}, "'user_id' is not UTF-8"),
        ({"body": "x"}, "neither a field 'event'"),
        ({"event": "[" * 100_000}, "is not JSON"),
    ],
)
def test_what_cannot_be_read_says_where_it_was_and_why(
    server: str, client: Any, fields: dict[str, Any], told: str
) -> None:
    message = client.xadd("events", fields).decode()
    take = Taker()
    run(stream(server), take)
    (frame,) = take.frames
    (reason,) = frame[tables.UNREADABLE]
    assert reason.startswith(f"stream events, message {message}: ")
    assert told in reason
    assert len(reason) < 2_300
    assert pending(client) == 0


def test_a_message_that_no_take_survives_is_held_back_and_the_others_go_on(
    server: str, client: Any
) -> None:
    add(client, *({**CLICK, "event_id": name} for name in ("a", "poison", "b")))
    taken: list[str] = []
    for _ in range(MAX_DELIVERIES):
        take = Taker(fails_on="poison")
        with pytest.raises(RuntimeError, match="a bug"):
            run(stream(server, claim_after=0.1), take)
        taken += take.ids
        time.sleep(0.12)
    last = Taker(fails_on="poison")
    run(stream(server, claim_after=0.1), last)
    assert sorted({*taken, *last.ids} - {one for one in last.ids if ":" in one}) == ["a", "b"]
    reasons = [
        reason
        for frame in last.frames
        if tables.UNREADABLE in frame
        for reason in frame[tables.UNREADABLE].dropna()
    ]
    assert len(reasons) == 1
    assert "times and never taken in" in reasons[0]
    assert "poison" in reasons[0]
    assert pending(client) == 0


def test_another_consumer_takes_over_what_a_dead_one_held(server: str, client: Any) -> None:
    add(client, *({**CLICK, "event_id": f"e{number}"} for number in range(4)))
    dead = stream(server)
    assert len(dead.read(limit=3, wait=0.1)) == 3
    take = Taker()
    done = run(stream(server), take)
    assert sorted(take.ids) == ["e0", "e1", "e2", "e3"]
    assert done.lag == 0


def test_two_consumers_share_the_messages(server: str, client: Any) -> None:
    add(client, *({**CLICK, "event_id": f"e{number}"} for number in range(200)))
    takers = [Taker(), Taker()]
    threads = [
        threading.Thread(
            target=run,
            args=(stream(server, claim_after=30.0), take),
            kwargs={"batching": Batching(size=5)},
        )
        for take in takers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(takers[0].ids + takers[1].ids) == sorted(f"e{number}" for number in range(200))


def test_messages_deleted_while_they_were_pending_are_let_go(server: str, client: Any) -> None:
    add(client, {**CLICK, "event_id": "gone"})
    (message,) = stream(server).read(limit=1, wait=0.1)
    client.xdel("events", message.id)
    assert run(stream(server), Taker()).messages == 0
    assert pending(client) == 0


def test_a_group_that_is_gone_is_made_again_and_reads_from_the_start(
    server: str, client: Any
) -> None:
    add(client, {**CLICK, "event_id": "a"})
    source = stream(server)
    (first,) = source.read(limit=5, wait=0.1)
    client.xgroup_destroy("events", "g")
    (again,) = source.read(limit=5, wait=0.1)
    assert again.id == first.id


@pytest.mark.parametrize("lost", ["stream", "group"])
def test_what_is_outstanding_of_a_group_that_is_gone_is_the_whole_stream(
    server: str, client: Any, lost: str
) -> None:
    add(client, {**CLICK, "event_id": "a"})
    source = stream(server)
    assert len(source.read(limit=5, wait=0.1)) == 1
    if lost == "stream":
        client.delete("events")
        assert source.outstanding() == 0
        add(client, {**CLICK, "event_id": "b"}, {**CLICK, "event_id": "c"})
        assert source.outstanding() == 2
    else:
        client.xgroup_destroy("events", "g")
        assert source.outstanding() == 1


def test_a_consumer_whose_stream_was_deleted_ends_without_an_error(
    server: str, client: Any
) -> None:
    add(client, {**CLICK, "event_id": "a"})

    def take(frame: pd.DataFrame) -> EventsResult:
        client.delete("events")
        return Taker()(frame)

    source = stream(server)
    done = run(source, take)
    assert (done.messages, done.lag) == (1, 0)
    client.delete("events")
    source.close()


def test_a_server_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    port = redis_servers.free_port()
    server = redis_servers.start(tmp_path / "redis", port)
    url = f"redis://127.0.0.1:{port}/0"
    take, stop = Taker(), threading.Event()
    client = redis.Redis.from_url(url)
    add(client, {**CLICK, "event_id": "before"})
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(
            run(stream(url), take, stop=stop, until=Until.STOPPED, give_up_after=None)
        )
    )
    thread.start()
    try:
        _until(lambda: take.ids == ["before"])
        server.kill()
        server.wait()
        time.sleep(0.5)
        server = redis_servers.start(tmp_path / "redis", port)
        add(redis.Redis.from_url(url), {**CLICK, "event_id": "after"})
        _until(lambda: "after" in take.ids)
    finally:
        stop.set()
        thread.join(30)
        server.terminate()
        server.wait(20)
    assert take.ids.count("after") == 1
    assert results[0].reconnects >= 1


def _until(holds: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nobody_there_is_given_up_after_a_while_and_passwords_are_not_told() -> None:
    source = RedisStream(
        f"redis://user:secret@127.0.0.1:{redis_servers.free_port()}/0", stream="s", group="g"
    )
    with pytest.raises(StreamLost, match="does not answer") as lost:
        run(source, Taker(), give_up_after=0.3)
    assert "secret" not in str(lost.value)
    with pytest.raises(StreamError, match="no Redis URL"):
        RedisStream("http://user:secret@x", stream="s", group="g")


def test_a_key_that_is_no_stream_is_an_error_that_says_so(server: str, client: Any) -> None:
    client.set("events", "text")
    with pytest.raises(StreamError, match="WRONGTYPE"):
        run(stream(server), Taker())


def test_the_batch_at_hand_is_finished_when_it_is_told_to_stop(server: str, client: Any) -> None:
    add(client, *({**CLICK, "event_id": f"e{number}"} for number in range(20)))
    stop = threading.Event()

    def take(frame: pd.DataFrame) -> EventsResult:
        stop.set()
        return Taker()(frame)

    done = run(stream(server), take, stop=stop, until=Until.STOPPED, batching=Batching(size=5))
    assert (done.batches, done.messages, pending(client)) == (1, 5, 0)


def test_once_takes_one_batch(server: str, client: Any) -> None:
    add(client, *({**CLICK, "event_id": f"e{number}"} for number in range(20)))
    assert run(stream(server), Taker(), until=Until.ONCE, batching=Batching(size=5)).messages == 5


def test_messages_of_one_batch_make_one_frame_of_event_columns() -> None:
    message = Message("1-0", {b"event": b'{"user_id": "a", "extra": 1}'}, NOW)
    frame = event_frame([message], stream="s")
    assert list(frame) == tables.EVENTS.names
    assert frame[tables.EVENT_ID].tolist() == ["s:1-0"]


def start_consumer(home: Home, url: str, *arguments: str) -> Command:
    options = ("consume", url, "--claim-after", "1", "--max-batch", "7", *arguments)
    return Command(*options, variables={"COLDSTART_HOME": str(home.root)}, folder=home.root)


def test_consumers_killed_in_the_middle_lose_nothing_and_take_nothing_twice(
    server: str, client: Any, home: Home
) -> None:
    """Two at once, one by kill -9, one by SIGTERM, then a third: everything is whole."""
    store = Store(home)
    store.apply()
    total = 100
    moments = pd.date_range("2026-01-01", periods=total, freq="h", tz="UTC")

    def send(numbers: range) -> None:
        for number in numbers:
            moment = moments[number].isoformat()
            row = {**CLICK, "event_id": f"e{number}", "event_timestamp": moment}
            row["user_id"] = f"user-{number % 5}"
            row["item_id"] = "ghost" if number % 20 == 7 else ("lamp", "rug")[number % 2]
            add(client, row)

    sound = [f"e{number}" for number in range(total) if number % 20 != 7]

    def in_log() -> int:
        return event_log(home).state().rows

    send(range(60))
    killed, stopped = start_consumer(home, server), start_consumer(home, server)
    _until(lambda: in_log() >= 6 or killed.ended or stopped.ended, 240)
    killed.process.kill()
    before = in_log()
    send(range(60, 90))
    assert killed.done(seconds=30)[0] == -signal.SIGKILL
    _until(lambda: in_log() > before or stopped.ended, 240)
    stopped.process.terminate()
    code, out, err = stopped.done(seconds=60)
    assert code == 0, err
    assert "events/s, lag" in out
    assert 6 <= in_log() < len(sound)
    send(range(90, total))

    last = start_consumer(home, server, "--until-idle", "--json")
    code, out, err = last.done(seconds=400)
    assert code == 0, err
    told = json.loads(out)
    assert (told["lag"], pending(client, "coldstart")) == (0, 0)

    ids = event_log(home).read([tables.EVENT_ID])[tables.EVENT_ID].to_pylist()
    assert sorted(ids) == sorted(sound)
    assert set(quarantine.load(home.quarantine, "events")["key"]) == {
        f"e{number}" for number in range(7, total, 20)
    }
    aggregate(home=home, now=NOW)
    compared = store.read_back(views=[USER_HISTORY.name, ITEM_STATS.name], sample=1_000)
    assert (compared.differences, compared.checked) == ((), 7)


def test_the_command_says_what_it_needs(coldstart: Any, server: str) -> None:
    code, _, err = coldstart("consume")
    assert code == 2
    assert "COLDSTART_STREAM_URL" in err
    code, _, err = coldstart("consume", server, "--once", "--until-idle")
    assert code == 2
    code, _, err = coldstart("consume", "amqp://x", "--once")
    assert code == 2
    assert err.startswith("coldstart: ")

"""Many clients at once: how many answers, how late, how many errors, and what memory does."""

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from benchmarks import results
from benchmarks.serving_processes import Client
from coldstart_models.commands import console

Ask = Callable[..., dict[str, Any]]
MIB: Final = 1024**2
CONNECTIONS: Final = 32
RUN_SECONDS: Final = 10
WARM_SECONDS: Final = 5
WEIGHED: Final = 8
"""Moments at which memory is looked at between the first request and the last."""
BUSY: Final = "503"
"""What a full queue answers: the service says that it is saturated, it does not fail."""
SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = %s
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) statuses = "" counts = {} bare = 0 end
function response(status, headers)
  if status == 429 or status == 503 then
    local said = false
    for name in pairs(headers) do said = said or string.lower(name) == "retry-after" end
    if not said then bare = bare + 1 end
  end
  counts[status] = (counts[status] or 0) + 1
  local told = {}
  for key, count in pairs(counts) do told[#told + 1] = key .. ":" .. count end
  statuses = table.concat(told, ",")
end
function done(summary, latency, requests)
  local sums, bare = {}, 0
  for _, thread in ipairs(threads) do
    bare = bare + thread:get("bare")
    for key, count in string.gmatch(thread:get("statuses"), "(%%d+):(%%d+)") do
      sums[key] = (sums[key] or 0) + tonumber(count)
    end
  end
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
  if failed + summary.errors.timeout > 0 then sums["599"] = failed + summary.errors.timeout end
  local told = {}
  for key, count in pairs(sums) do told[#told + 1] = '"' .. key .. '": ' .. count end
  print(string.format('{"p99_ms": %%.2f, "without_retry_after": %%d, "statuses": {%%s}}',
    latency:percentile(99) / 1000, bare, table.concat(told, ", ")))
end
"""
"""Counts answers by status; 599 stands for connections that broke and answers that never came.

And refusals (429, 503) that do not say when to come again.
"""


def under_load(port: int, body: dict[str, Any], *, clients: int, seconds: float) -> dict[str, Any]:
    """What many clients get that ask again as soon as they have an answer.

    A connection that breaks ends the run with its error: no answer is left out of the count.
    """
    until = time.perf_counter() + seconds

    def ask(_: int) -> tuple[Counter[int], list[float]]:
        client, mine, times = Client(port), Counter[int](), list[float]()
        while time.perf_counter() < until:
            began = time.perf_counter()
            mine[client.post("/recommend", body).status] += 1
            times.append(1000 * (time.perf_counter() - began))
        return mine, times

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(ask, range(clients)))
    statuses = sum((counts for counts, _ in found), Counter[int]())
    taken = [one for _, times in found for one in times]
    return {
        "clients": clients,
        "requests_per_second": round(statuses[200] / seconds, 1),
        **{name.replace(" ", "_"): value for name, value in results.quantiles(taken).items()},
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "errors_5xx": sum(count for status, count in statuses.items() if status >= 500),
    }


def saturated(port: int, pid: int, body: dict[str, Any], *, requests: int) -> dict[str, Any] | None:
    """What `wrk` gets of the service as fast as it answers, and its memory all the while.

    None where wrk is not installed (Debian: apt install wrk).
    """
    with wrk(port, body) as ask:
        if ask is None:
            return None
        ask(connections=CONNECTIONS, seconds=WARM_SECONDS)
        held, answered, statuses, seconds = {0: memory(pid)}, 0, Counter[str](), 0
        latest, bare = {}, 0
        while answered < requests:
            latest = ask(connections=CONNECTIONS, seconds=RUN_SECONDS)
            statuses.update(latest["statuses"])
            bare += latest["without_retry_after"]
            seconds += RUN_SECONDS
            answered = statuses.total()
            if answered >= len(held) * requests / WEIGHED:
                held[answered] = memory(pid)
                console.say(f"{answered:,} requests: {held[answered] / MIB:,.1f} MiB")
    errors = sum(count for status, count in statuses.items() if status[0] == "5" and status != BUSY)
    return {
        "connections": CONNECTIONS,
        "requests": answered,
        "requests_per_second": round(answered / seconds, 1),
        "p99_ms": latest["p99_ms"],
        "statuses": dict(sorted(statuses.items())),
        "refused_without_retry_after": bare,
        "errors_5xx": errors,
        "mib_after_requests": {f"{at:,}:": round(size / MIB, 1) for at, size in held.items()},
    }


def memory(pid: int) -> int:
    """Bytes that a process and all below it hold (USS: what would be free without them)."""
    top = psutil.Process(pid)
    return sum(one.memory_full_info().uss for one in [top, *top.children(recursive=True)])


@contextmanager
def wrk(port: int, body: dict[str, Any]) -> Iterator[Ask | None]:
    """A call of `wrk` that asks for recommendations; None where it is not installed.

    By ``connections`` and ``seconds``, it returns what the script prints at its end.
    """
    program = shutil.which("wrk")
    if program is None:
        yield None
        return
    with TemporaryDirectory(prefix="coldstart-wrk-") as folder:
        script = Path(folder) / "ask.lua"
        script.write_text(SCRIPT % json.dumps(json.dumps(body)), encoding="utf-8")

        def ask(*, connections: int, seconds: int) -> dict[str, Any]:
            told = subprocess.run(
                [
                    *(program, "-t", "2", "-c", str(connections), "-d", f"{seconds}s"),
                    *("--timeout", "30s", "-s", script, f"http://127.0.0.1:{port}/recommend"),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            found: dict[str, Any] = json.loads(told.stdout.strip().splitlines()[-1])
            return found

        yield ask

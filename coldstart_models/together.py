"""Start processes that learn together on this machine, hear what they say, and take the result."""

import io
import os
import queue
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessException, start_processes

from coldstart_models.errors import ModelError
from coldstart_models.processes import COUNT, CPU, Processes, found_device, joined, require_devices
from feature_repo.errors import FeatureError

HERE: Final = "127.0.0.1"
LOOPBACK: Final = ("lo", "lo0")
"""Names of the interface that leads back to this machine, on Linux and macOS."""
POLL_SECONDS: Final = 0.1
TOLD, MADE, FAILED = "told", "made", "failed"
Tell = Callable[..., None]
"""Says something to who started the processes."""
T = TypeVar("T")


def together(
    work: Callable[[Processes, Tell], T],
    *,
    count: int,
    device: str | None = None,
    heard: Callable[..., None] = lambda *said: None,
) -> T:
    """Do the work in `count` processes at once; what the first of them returns.

    Args:
        work: a function of a module, or a partial of one with arguments that can be pickled, as
            its result can. What the first process passes to its second argument comes to `heard`.
        device: as `joined` takes it; on GPUs each process has one of its own.

    Raises ConfigError where there are too few devices, and what a process raised of ours.
    """
    require_devices(found_device(device), count)
    context = torch.multiprocessing.get_context("spawn")
    said: Any = context.Queue()
    running = start_processes(  # type: ignore[no-untyped-call]
        _process,
        (work, count, _free_port(), device, said),
        nprocs=count,
        join=False,
        start_method="spawn",
    )
    made: list[T] = []
    try:
        ended = False
        while not ended:
            ended = running.join(timeout=POLL_SECONDS)
            _listen(said, made, heard)
    except ProcessException:
        _listen(said, made, heard, wait=1.0)  # the reason, where it is one of ours
        raise
    finally:
        for process in running.processes:
            if process.is_alive():
                process.terminate()
    while not made:  # the last words may still be on their way
        _listen(said, made, heard, wait=1.0)
    return made[0]


def handed(hearers: Mapping[str, Callable[..., None] | None]) -> Callable[..., None]:
    """For `heard`: what is said first is of whom the rest is for; who is None hears nothing."""

    def heard(kind: str, *content: Any) -> None:
        hearer = hearers[kind]
        if hearer is not None:
            hearer(*content)

    return heard


def parameters_of(module: nn.Module) -> bytes:
    """What a module has learned, as a process can return it: tensors would be gone with it."""
    state = io.BytesIO()
    torch.save(module.state_dict(), state)
    return state.getvalue()


def take_parameters(module: nn.Module, state: bytes) -> None:
    """Give a module what `parameters_of` one like it returned."""
    module.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))


def _listen(
    said: Any, made: list[T], heard: Callable[..., None], *, wait: float | None = None
) -> None:
    """Take what is there. Raises what the first process says that it failed by."""
    while True:
        try:
            kind, content = said.get(timeout=wait) if wait else said.get_nowait()
        except queue.Empty:
            return
        if kind == FAILED:
            raise cast(Exception, content)
        if kind == MADE:
            made.append(content)
        else:
            heard(*content)
        wait = None


def _process(
    place: int,
    work: Callable[[Processes, Tell], Any],
    count: int,
    port: int,
    device: str | None,
    said: Any,
) -> None:
    """One of the processes, from its beginning to its end."""
    os.environ |= {
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        COUNT: str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "RANK": str(place),
        "LOCAL_RANK": str(place),
    }
    if found_device(device).type == CPU:  # they share the processor, and talk on this machine alone
        for name in [name for _, name in socket.if_nameindex() if name in LOOPBACK]:
            os.environ["GLOO_SOCKET_IFNAME"] = name
        threads = max(1, torch.get_num_threads() // count)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # accelerate sets torch's by it
        torch.set_num_threads(threads)
    processes = joined(device)

    def tell(*content: Any) -> None:
        if processes.first:
            said.put((TOLD, content))

    try:
        made = work(processes, tell)
    except (ModelError, FeatureError) as error:
        said.put((FAILED, error))
        said.close()
        said.join_thread()
        raise
    if processes.first:
        said.put((MADE, made))
        said.close()
        said.join_thread()
    torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])

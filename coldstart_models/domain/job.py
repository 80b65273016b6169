"""The job `encoders adapt`: in this process, in those that it starts, or in those it is one of."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from coldstart_models.domain.adapted import Adapted, adapt, require_steps
from coldstart_models.domain.examples import Examples
from coldstart_models.domain.setting import Setting
from coldstart_models.processes import Processes, joined, require_alone
from coldstart_models.progress import Progress, StepProgress
from coldstart_models.siamese.curves import Curves, tensorboard
from coldstart_models.together import Tell, handed, together
from feature_repo.encoders.encoder import Encoder

PROGRESS, CURVE = "progress", "curve"
Load = Callable[..., Encoder]
"""(name, device=…) → encoder; a function of a module where processes are started."""


def adapt_job(
    target: Examples,
    setting: Setting,
    *,
    load: Load,
    out: Path,
    cache: Path,
    source: Examples | None = None,
    processes: int = 1,
    device: str | None = None,
    progress: StepProgress | None = None,
    curves: Path | None = None,
) -> Adapted | None:
    """Adapt an encoder; None in all but the first of processes that torchrun started.

    Args:
        processes: how many to start, each with its part of every batch; of one none is started.
        device: as `processes.joined` takes it.
        curves: the folder for TensorBoard's.

    Raises as `adapt` and `together` do.
    """
    require_steps(setting, processes)
    work = partial(_adapt, target, setting, source, load=load, out=out, cache=cache)
    with ExitStack() as stack:

        def drawing() -> Curves | None:
            return stack.enter_context(tensorboard(curves)) if curves is not None else None

        if processes == 1:
            ours = joined(device)
            if not ours.first:
                work(ours, progress=None, curves=None)
                return None
            return work(ours, progress=progress, curves=drawing())
        require_alone()
        return together(
            partial(_telling, work),
            count=processes,
            device=device,
            heard=handed({CURVE: drawing(), PROGRESS: _steps(progress) if progress else None}),
        )


def _steps(progress: StepProgress) -> Callable[..., None]:
    """Told a step's name beside how far it is; a step begins when it is first told of."""
    begun: dict[str, Progress] = {}

    def told(name: str, done: int, total: int) -> None:
        if name not in begun:
            begun[name] = progress(name)
        begun[name](done, total)

    return told


def _telling(work: Callable[..., Adapted], processes: Processes, tell: Tell) -> Adapted:
    """The work in a process that was started: who started it hears how far it is."""
    if not processes.first:
        return work(processes, progress=None, curves=None)
    return work(
        processes,
        progress=lambda step: partial(tell, PROGRESS, step),
        curves=partial(tell, CURVE),
    )


def _adapt(
    target: Examples,
    setting: Setting,
    source: Examples | None,
    processes: Processes,
    *,
    load: Load,
    out: Path,
    cache: Path,
    progress: StepProgress | None,
    curves: Curves | None,
) -> Adapted:
    return adapt(
        target,
        setting,
        load=partial(load, device=str(processes.device)),
        out=out,
        cache=cache,
        source=source,
        progress=progress,
        processes=processes,
        curves=curves,
    )

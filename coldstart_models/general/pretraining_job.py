"""The job `pretrain`: sources in, a folder with the general model out."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from coldstart_models.benchmark_run import DEFAULT_ENCODERS, Encoders, ingest_source
from coldstart_models.errors import ConfigError
from coldstart_models.general.artifact import GeneralModel, Provenance, save_general, shop_labels
from coldstart_models.general.contrast import GeneralSchedule
from coldstart_models.general.kept_runs import KeptRuns
from coldstart_models.general.pretraining import pretrain_tower
from coldstart_models.general.sharing import pretrain_together
from coldstart_models.general.shops import Shop, common_encoders, open_shop
from coldstart_models.learning_costs import Cost, Meter
from coldstart_models.processes import CPU, Processes, found_device
from coldstart_models.progress import Progress, StepProgress
from coldstart_models.siamese.curves import Curves, tensorboard
from feature_repo.catalogs.registry import resolved
from feature_repo.home import Home
from feature_repo.sources import read_records
from validation.whole_files import replacing

COST: Final = "cost.json"
DEFAULT_SOURCES: Final = ("marketplace", "complete-journey")
"""What needs no download."""


def pretrain_job(
    specs: Sequence[str],
    *,
    out: Path,
    now: datetime,
    seed: int = 0,
    workdir: Path | None = None,
    licences: Mapping[str, str] | None = None,
    encoders: Encoders = DEFAULT_ENCODERS,
    schedule: GeneralSchedule | None = None,
    device: str = CPU,
    processes: int = 1,
    progress: StepProgress | None = None,
    curves: Path | None = None,
    checkpoint: Path | None = None,
) -> tuple[GeneralModel, Cost]:
    """Read every source, learn from all of them and write the model to `out`.

    What it cost is written beside the model.

    Args:
        specs: sources as `coldstart ingest` takes them; each is a shop of its own.
        out: the model's folder; one that is there is replaced.
        now: time-zone aware; events after it are held back.
        workdir: keeps the shops' stores, so that a later run takes them up; by default they
            are made in a folder that is removed.
        device: of the steps, as `processes.found_device` takes it.
        processes: that share a step's users.
        curves: the folder for TensorBoard's.
        licences: source name → terms of its data, where the source does not say.

    Raises:
        ConfigError: no source, or one twice, or terms of one that is not among them; no such
            devices.
        EncoderError: an encoder cannot be loaded.
        NotEnoughData, SourceError: as `open_shop` says.
    """
    kept = KeptRuns(checkpoint) if checkpoint is not None else None
    meter = Meter.of(device, processes)
    with ExitStack() as stack:
        drawn = stack.enter_context(tensorboard(curves)) if curves is not None else None
        folder = workdir or Path(stack.enter_context(TemporaryDirectory(prefix="coldstart-")))
        homes = {spec: Home(folder.resolve() / store_name(spec)) for spec in _distinct(specs)}
        for spec, home in homes.items():  # all before the first is encoded, which takes hours
            ingest_source(spec, home=home, now=now, as_of=now, encoders=encoders, progress=progress)
        names = [name for home in homes.values() for name in read_records(home.sources)]
        _require_named(licences or {}, names)
        shops = [
            open_shop(
                spec,
                home=home,
                now=now,
                licences=licences,
                encoders=encoders,
                progress=progress,
            )
            for spec, home in homes.items()
        ]
        model = pretrain_shops(
            shops,
            now=now,
            seed=seed,
            schedule=schedule,
            device=device,
            processes=processes,
            progress=progress,
            stepping=meter.counting(),
            curves=drawn,
            kept=kept,
        )
    save_general(model, out)
    cost = meter.cost()
    with replacing(out / COST) as partial:
        partial.write_text(json.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    if kept is not None:
        kept.remove()
    return model, cost


def pretrain_shops(
    shops: Sequence[Shop],
    *,
    now: datetime,
    seed: int,
    schedule: GeneralSchedule | None = None,
    device: str = CPU,
    processes: int = 1,
    progress: StepProgress | None = None,
    stepping: Progress | None = None,
    curves: Curves | None = None,
    kept: KeptRuns | None = None,
) -> GeneralModel:
    """Learn from shops that are read already; the arguments are those of `pretrain_job` and, of
    what is told and kept, of `pretrain_tower`.

    Raises ConfigError where two have the same listings: neither would be left out while the other
    is learned from.
    """
    require_distinct(shops)
    encoders = common_encoders(shops)
    labels = shop_labels([shop.record for shop in shops])
    corpora = [replace(shop.corpus, name=label) for shop, label in zip(shops, labels, strict=True)]
    pretrained = (
        partial(pretrain_together, count=processes, device=device)
        if processes > 1
        else partial(pretrain_tower, processes=Processes(found_device(device)))
    )
    made = pretrained(
        corpora,
        seed=seed,
        schedule=schedule,
        progress=progress("pretrain") if progress else None,
        stepping=stepping,
        curves=curves,
        kept=kept,
    )
    record = made.record
    provenance = Provenance(
        sources=tuple(shop.record for shop in shops),
        encoders=encoders,
        seed=seed,
        code_version=version("coldstart-home"),
        made_at=now,
        kept_step=record.kept_step,
        shrinkages=record.shrinkages,
        checks=record.checks,
        by_shop=record.by_shop,
    )
    return GeneralModel(made.tower, made.metric, provenance)


def require_distinct(shops: Sequence[Shop]) -> None:
    """Raise ConfigError where two shops have the same listings."""
    digests = Counter(shop.record.digest for shop in shops)
    same = [shop.record.name for shop in shops if digests[shop.record.digest] > 1]
    if same:
        raise ConfigError(
            f"{', '.join(same)} have the same listings; the general model learns from each shop "
            "once: leave out all of them but one"
        )


def store_name(spec: str) -> str:
    """A folder's name for a source's store: its last word, and a hash of all of it."""
    name = resolved(spec)
    last = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).name)
    return f"{last}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _require_named(licences: Mapping[str, str], names: Sequence[str]) -> None:
    """Raise ConfigError where terms are of no source."""
    strange = [name for name in licences if name not in names]
    if strange:
        raise ConfigError(
            f"--licence names {', '.join(strange)}, and the sources are {', '.join(names)}; terms "
            "are stated as NAME=TERMS with a source's name"
        )


def _distinct(specs: Sequence[str]) -> list[str]:
    if not specs:
        raise ConfigError(f"name at least one source, such as {' '.join(DEFAULT_SOURCES)}")
    names = [resolved(spec) for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{', '.join(twice)} is named twice; name each source once")
    return list(specs)

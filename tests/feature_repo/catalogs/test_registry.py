from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.catalogs.registry import folder_of, open_source, prefixed, resolved
from feature_repo.catalogs.source import SourceData, SourceError
from validation import tables

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def opened(spec: str, folder: Path, **options: object) -> SourceData:
    return open_source(spec, photos=folder / "photos", as_of=NOW, **options)  # type: ignore[arg-type]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "items.csv").write_text("item_id,title\n1,A\n,B\n")
    (folder / "events.csv").write_text("event_id,user_id,item_id\ne,u,1\n")
    return folder


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tabel:x", r"unknown source 'tabel:x'; did you mean 'table'\? \(known: marketplace"),
        ("zzz", r"unknown source 'zzz' \(known: .*hm:DIR\)"),
        ("table", "names no folder; expected table:DIR"),
        ("hm:", "names no folder; expected hm:DIR"),
        ("complete-journey:x", "takes nothing after its name"),
        ("marketplace:smal", r"unknown size 'smal'.*did you mean 'small'"),
    ],
)
def test_a_wrong_spec_is_named_with_what_is_known(spec: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        opened(spec, tmp_path)


def test_a_folder_is_opened_by_its_kind(shop: Path, tmp_path: Path) -> None:
    source = opened(f"table:{shop}", tmp_path)
    assert source.name == "shop"
    with pytest.raises(SourceError, match="has no meta file"):
        opened(f"amazon-reviews:{shop}", tmp_path)
    with pytest.raises(SourceError, match=r"has no articles\.csv"):
        opened(f"hm:{shop}", tmp_path)


def test_a_mapping_goes_with_a_table_alone(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a mapping goes with table:DIR"):
        opened("complete-journey", tmp_path, mapping=tmp_path / "m.toml")


def test_a_prefix_goes_before_item_and_event_ids_but_not_before_users(
    shop: Path, tmp_path: Path
) -> None:
    source = opened(f"table:{shop}", tmp_path, prefix="s-")
    assert source.items[tables.ITEM_ID].tolist() == ["s-1", None]
    assert source.events[tables.ITEM_ID].tolist() == ["s-1"]
    assert source.events[tables.EVENT_ID].tolist() == ["s-e"]
    assert source.events[tables.USER_ID].tolist() == ["u"]
    assert prefixed(source, "") is source


def test_a_spec_is_the_same_from_any_working_folder(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.parent)
    assert resolved("table:shop") == f"table:{shop}"
    assert resolved("complete-journey") == "complete-journey"
    assert folder_of(f"table:{shop}") == shop
    assert folder_of("marketplace:small") is None

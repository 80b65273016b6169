"""`coldstart encoders` as a person uses it."""

import json

import pytest


@pytest.fixture
def shop(tmp_path, coldstart):
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [
        f"i{n:02d},{'Oak chair' if n % 2 else 'Brass lamp'} {n},Home > {n % 2}" for n in range(20)
    ]
    (folder / "items.csv").write_text("\n".join(["item_id,title,category", *rows]) + "\n")
    assert coldstart("ingest", "table:shop")[0] == 0


def test_list_tells_which_encoders_can_be_loaded_and_why_others_cannot(
    coldstart, monkeypatch, tmp_path
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    code, out, _ = coldstart("encoders", "list", "--json")
    told = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert told["efficientnet-lite0"]["loadable"]
    assert (told["minilm"]["width"], told["minilm"]["licence"]) == (384, "Apache-2.0")
    assert not told["resnet50"]["loadable"]
    assert "torchvision's cache" in told["resnet50"]["reason"]
    assert told["torchvision:NAME"]["cached"] == []
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "convnext_tiny-983f1562.pth").touch()
    assert "resnet50: there are no weights" in coldstart("encoders", "list")[1]
    _, out, _ = coldstart("encoders", "list", "--json")
    cached = {row["name"]: row["cached"] for row in json.loads(out)}
    assert cached["torchvision:NAME"] == ["torchvision:convnext_tiny"]


def test_compare_measures_what_is_there_and_says_what_is_not(coldstart, shop, tmp_path):
    code, out, _ = coldstart("encoders", "compare", "minilm", "--out", "found.json")
    assert code == 0
    assert "20 of 20 items of shop" in out
    assert "left out: ndcg@10 of cold items: " in out
    assert "0 positive events" in out
    found = json.loads((tmp_path / "found.json").read_text())
    (row,) = found["encoders"]
    assert row["measured"]["precision@1"]["value"] == 1.0
    assert found["pairs"] == []


def test_compare_of_nothing_that_can_be_loaded_is_one_line(coldstart, shop):
    code, out, err = coldstart("encoders", "compare", "minilmm")
    assert (code, out) == (2, "")
    assert "there is no encoder 'minilmm'" in err

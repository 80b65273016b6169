"""`coldstart encoders` as a person uses it."""

import json
from pathlib import Path

import numpy as np
import pytest

from feature_repo.encoders.registry import load_encoder


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
    told = {row["name"]: row for row in json.loads(out)["encoders"]}
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
    cached = {row["name"]: row["cached"] for row in json.loads(out)["encoders"]}
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


@pytest.fixture
def tiny(tmp_path):
    """A text model of its own."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path / "tiny"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oak", "chair", "brass", "lamp"]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=9, intermediate_size=8, **shape)).save_pretrained(folder)
    return folder


def test_a_switch_from_the_first_extraction_to_the_way_back(coldstart, shop, tiny, tmp_path):
    chair, lamp = load_encoder("hf-text:tiny", device="cpu").encode(["oak chair", "brass lamp"])
    assert not np.allclose(chair, lamp)  # its words are known to it
    assert coldstart("extract")[0] == 0
    code, out, _ = coldstart("extract", "--text-encoder", "hf-text:tiny")
    assert code == 0
    assert "the rows of hf-text:tiny stand beside those that serve" in out
    code, out, err = coldstart("encoders", "use", "hf-text:tiny")
    assert code == 0, err
    assert f"hf-text:{tiny} serves instead of minilm: 20 texts" in out
    assert "`coldstart train`" in out
    _, out, _ = coldstart("info", "--json")
    assert json.loads(out)["encoders"] == {"image": None, "text": f"hf-text:{tiny}"}
    code, out, _ = coldstart("extract", "--json")
    told = json.loads(out)["text"]
    assert (code, told["encoder"], told["skipped"], told["serves"]) == (0, "hf-text:tiny", 20, True)
    _, out, _ = coldstart("encoders", "list", "--json")
    assert [
        (one["name"], one["rows"], one["serves"])
        for one in json.loads(out)["extracted"]
        if one["rows"]
    ] == [(f"hf-text:{tiny}", 20, "yes"), ("minilm", 20, "no")]
    code, out, _ = coldstart("encoders", "use", "--back")
    assert code == 0
    assert f"minilm serves instead of hf-text:{tiny}" in out
    assert Path("state/features/item_text_embedding.parquet").is_symlink()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give either the name of an encoder or --back"),
        (["minilm", "--back"], "give either the name of an encoder or --back"),
        (["--back"], "no switch is left to take back"),
        (["minilm"], "minilm has no rows here (extracted are: none)"),
    ],
)
def test_a_switch_that_cannot_be_is_one_line(coldstart, arguments, told):
    code, out, err = coldstart("encoders", "use", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert told in err

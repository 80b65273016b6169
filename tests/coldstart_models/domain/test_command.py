"""`coldstart encoders adapt` as a person uses it: real tiny encoders through the registry."""

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from feature_repo.encoders.registry import load_encoder
from tests.coldstart_models.domain.photos import KINDS

COLOURS = ("red", "green", "blue", "yellow")


def marked(kind, *, generator):
    """A photo whose middle has the kind's colour; the rest, which is most of it, has any."""
    image = Image.new("RGB", (32, 32), tuple(int(one) for one in generator.integers(0, 256, 3)))
    image.paste(COLOURS[kind], (10, 10, 22, 22))
    return image


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table of 120 listings with photos, a tiny ViT and a tiny BERT."""
    from transformers import (
        BertConfig,
        BertModel,
        BertTokenizerFast,
        ViTConfig,
        ViTImageProcessor,
        ViTModel,
    )

    folder = tmp_path_factory.mktemp("made")
    generator = np.random.default_rng(0)
    (folder / "shop" / "images").mkdir(parents=True)
    lines = ["item_id,title,category"]
    for number in range(120):
        marked(number % 4, generator=generator).save(folder / f"shop/images/i{number:03d}.png")
        lines.append(
            f"i{number:03d},{KINDS[number % 4]} number {number},Home > {KINDS[number % 4]}"
        )
    (folder / "shop" / "items.csv").write_text("\n".join(lines) + "\n")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
    vit = ViTConfig(image_size=32, patch_size=8, intermediate_size=16, **shape)
    ViTModel(vit).save_pretrained(folder / "vit")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "number", *KINDS]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder / "bert")
    bert = BertConfig(vocab_size=len(words), intermediate_size=16, **shape)
    BertModel(bert).save_pretrained(folder / "bert")
    return folder


@pytest.fixture
def folder(made, coldstart, tmp_path):
    """Where the command runs; nothing is ingested."""
    for name in ("shop", "vit", "bert"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def shop(folder, coldstart):
    assert coldstart("ingest", "table:shop")[0] == 0
    return folder


FAST = (
    *("--epochs", "8", "--batch", "16", "--rate", "0.01", "--keep", "0", "--width", "8"),
    *("--patience", "8", "--validate", "0.3"),
)


def test_low_rank_changes_of_two_models_become_encoders_that_extract_takes(coldstart, shop):
    code, out, err = coldstart(
        *("encoders", "adapt", "--base", "hf-image:vit", "--text-encoder", "hf-text:bert"),
        *("--objective", "pairs", "--lora", "4", "--text-lora", "2"),
        *("--out", "ours", "--json", *FAST),
    )
    assert code == 0, err
    told = json.loads(out)
    assert told["items"] == {
        "learned from": 72,
        "validation": 36,
        "held out": 12,
        "source": 0,
    }
    assert told["gain"] > 1
    image, text = (load_encoder(f"folder:ours/{name}", device="cpu") for name in ("image", "text"))
    assert image.space == text.space
    assert image.width == text.width == 8
    photo = Image.open(shop / "shop/images/i000.png")
    base = load_encoder("hf-image:vit", device="cpu").encode([photo])
    assert not np.allclose(
        image.base.encode([photo]), base
    )  # its weights learned, not its head alone
    code, out, err = coldstart("extract", "--image-encoder", "folder:ours/image", "--json")
    assert code == 0, err
    extracted = json.loads(out)["image"]
    assert (extracted["encoded"], extracted["encoder"]) == (120, "ours-image")
    again = load_encoder("folder:ours/image", device="cpu")
    assert (again.hash, again.encode([photo]).tolist()) == (
        image.hash,
        image.encode([photo]).tolist(),
    )


def test_titles_are_what_photos_learn_from_unless_told_otherwise(coldstart, folder):
    code, out, err = coldstart(
        *("encoders", "adapt", "--base", "hf-image:vit", "--text-encoder", "hf-text:bert"),
        *("--photos", "shop", "--out", "ours", "--json", "--validate", "0.3"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert (told["kept_epoch"], len(told["checks"])) == (0, 1)  # in one step
    assert told["gain"] > 1
    image, text = (load_encoder(f"folder:ours/{name}", device="cpu") for name in ("image", "text"))
    assert image.space == text.space
    assert image.width == text.width == 16 + 16
    assert {path.name for path in (folder / "ours/image").iterdir()} == {
        "config.json",
        "head.safetensors",
        "learning.json",
    }


def test_what_was_found_is_told_with_the_next_step(coldstart, folder):
    code, out, err = coldstart(
        *("encoders", "adapt", "--base", "hf-image:vit", "--lora", "4"),
        *("--objective", "labels", "--photos", "shop", "--out", "ours", *FAST),
    )
    assert code == 0, err
    assert "(kept)" in out
    assert "Held-out items" in out
    assert "cost: " in out
    assert "next: `coldstart extract --image-encoder folder:ours`" in out


@pytest.mark.slow
def test_processes_that_the_command_starts_make_one_encoder(coldstart, folder):
    code, out, err = coldstart(
        *("encoders", "adapt", "--base", "hf-image:vit", "--lora", "4", "--processes", "2"),
        *("--objective", "labels", "--photos", "shop", "--out", "ours", "--json", *FAST),
        *("--device", "cpu"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert told["gain"] > 1
    assert told["cost"]["devices"] == ["cpu", "cpu"]
    assert json.loads((folder / "ours/learning.json").read_text())["cost"] == told["cost"]
    assert load_encoder("folder:ours", device="cpu").width == 8


def test_a_network_is_begun_and_told_with_the_next_step(coldstart, folder):
    asked = (
        *("encoders", "begin", "shufflenet_v2_x0_5", "--source", "shop", "--teacher", "none"),
        *("--size", "32", "--epochs", "1", "--batch", "32", "--device", "cpu"),
    )
    code, out, err = coldstart(*asked, "--out", "one.pth")
    assert code == 0, err
    assert "cost: " in out
    assert "--base torchvision:shufflenet_v2_x0_5 --weights one.pth" in " ".join(out.split())
    code, out, err = coldstart(*asked, "--out", "two.pth", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["classes"], told["cost"]["devices"]) == (4, ["cpu"])
    assert load_encoder("torchvision:shufflenet_v2_x0_5:two.pth", device="cpu").width == 1024
    code, _, err = coldstart(*asked[:-1], "nonsense", "--out", "three.pth")
    assert code != 0
    assert "there is no device 'nonsense'" in " ".join(err.split())


def test_the_cached_blocks_of_the_default_encoder_are_its_own(coldstart, folder):
    code, out, err = coldstart(
        *("encoders", "adapt", "--objective", "labels", "--photos", "shop", "--out", "ours"),
        *("--blocks", "2", "--epochs", "2", "--batch", "16", "--rate", "0.001", "--keep", "0"),
        *("--holdout", "0", "--validate", "0.4", "--views", "1", "--json"),
    )
    assert code == 0, err
    encoder = load_encoder("folder:ours", device="cpu")
    assert (encoder.width, encoder.id) == (512, "ours")
    base = load_encoder("efficientnet-lite0", device="cpu").module.state_dict()
    learned = encoder.base.module.state_dict()
    changed = {name.split(".")[0] for name in base if not torch.equal(base[name], learned[name])}
    assert changed == {"blocks", "conv_head", "bn2"}
    assert json.loads(out)["before"] == {}


@pytest.fixture
def few(folder):
    """The first 72 listings of the shop in a folder of their own, and a random ResNet50."""
    import torchvision

    (folder / "few/images").mkdir(parents=True)
    lines = (folder / "shop/items.csv").read_text().splitlines()[:73]
    (folder / "few/items.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        photo = f"images/{line.partition(',')[0]}.png"
        shutil.copy(folder / "shop" / photo, folder / "few" / photo)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), folder / "resnet.pth")
    return folder


RESNET = ("--base", "resnet50", "--weights", "resnet.pth")


@pytest.mark.slow
def test_resnet50_learns_its_last_block_and_extract_takes_it(coldstart, few, monkeypatch):
    """How well is not asked of random weights: each check is told to be better than the last."""
    rising = itertools.count(1.0, 0.1)
    monkeypatch.setattr(
        "coldstart_models.domain.learning.Score.gain", lambda self, start: next(rising)
    )
    assert coldstart("ingest", "table:few")[0] == 0
    code, out, err = coldstart(
        *("encoders", "adapt", *RESNET, "--objective", "labels", "--out", "ours", "--json"),
        *("--blocks", "1", "--epochs", "2", "--batch", "16", "--rate", "0.001", "--keep", "0"),
        *("--holdout", "0", "--validate", "0.4", "--views", "1", "--width", "16"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert told["kept_epoch"] == 2
    encoder = load_encoder("folder:ours", device="cpu")
    base = load_encoder("resnet50:resnet.pth", device="cpu").module.state_dict()
    learned = encoder.base.module.state_dict()
    changed = {
        ".".join(name.split(".")[:2]) for name in base if not torch.equal(base[name], learned[name])
    }
    assert changed == {"layer4.2"}
    code, out, err = coldstart("extract", "--image-encoder", "folder:ours", "--json")
    assert code == 0, err
    extracted = json.loads(out)["image"]
    assert (extracted["encoded"], extracted["encoder"]) == (72, "ours")
    assert extracted["encoder_hash"] == encoder.hash


@pytest.mark.parametrize("base", [(), RESNET], ids=["efficientnet-lite0", "resnet50"])
def test_networks_of_convolutions_have_no_low_rank_change_and_say_what_to_do(coldstart, few, base):
    code, out, err = coldstart(
        *("encoders", "adapt", *base, "--objective", "labels", "--photos", "few", "--out", "ours"),
        *("--lora", "4", "--validate", "0.4", "--holdout", "0"),
    )
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "no linear layer that a low-rank change could be learned for; unfreeze blocks" in err
    assert not (few / "ours").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--base", "nothing"], "there is no encoder 'nothing'"),
        (
            ["--objective", "colours"],
            "there is no objective 'colours'; known are titles, pairs, labels",
        ),
        (
            ["--base", "hf-image:vit", "--objective", "views", "--blocks", "1"],
            "is not a chain of blocks",
        ),
        (["--lora", "4"], "leave out --blocks, --lora and --text-lora, or name what they are"),
        (["--objective", "source"], "give their folder (--source)"),
        (["--objective", "labels", "--source", "nowhere"], "there is no folder nowhere"),
        (["--base", "hf-image:vit", "--align", "adabn"], "this encoder has none; choose coral"),
        (
            ["--base", "hf-text:bert", "--source", "shop"],
            "--source is of photos, and the base reads texts",
        ),
        (["--blocks", "99", "--objective", "labels"], "the backbone has 18; give 0 to 18"),
        (["--processes", "2"], "titles is computed in one step, by one process"),
        (["--processes", "2", "--device", "gpu"], "there is no device 'gpu'"),
        (["--objective", "labels", "--validate", "0"], "no items are left to judge by"),
    ],
)
def test_what_cannot_be_learned_is_one_line(coldstart, folder, arguments, told):
    code, out, err = coldstart("encoders", "adapt", "--photos", "shop", "--out", "ours", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert told in err
    assert not (folder / "ours").exists()


@pytest.mark.parametrize("json_asked", [False, True], ids=["as text", "as JSON"])
def test_where_the_base_is_kept_the_checks_are_told_and_the_exit_code_is_3(
    coldstart, folder, json_asked
):
    code, out, err = coldstart(
        *("encoders", "adapt", "--photos", "shop", "--out", "ours", "--base", "hf-text:bert"),
        *("--rate", "0", "--epochs", "2", "--width", "8"),
        *(("--json",) if json_asked else ()),
    )
    assert (code, len(err.splitlines())) == (3, 1), err
    assert err.startswith("coldstart: nothing learned is better than 'hf-text:")
    assert not (folder / "ours").exists()
    if not json_asked:
        assert "90 learned from, 18 validation, 12 held out" in " ".join(out.split())
        assert "0 (kept)" in out
        assert "cost: " in out
        return
    told = json.loads(out)
    assert (told["better"], told["kept_epoch"], told["cost"]["steps"]) == (False, 0, 2)
    assert told["reason"] in err
    assert [check["epoch"] for check in told["checks"]] == [0, 1, 2]
    assert told["items"] == {"learned from": 90, "validation": 18, "held out": 12, "source": 0}


def test_weights_that_were_saved_in_half_precision_learn_low_rank_changes(
    coldstart, folder, monkeypatch
):
    from transformers import AutoModel

    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 1.1)
    AutoModel.from_pretrained(folder / "bert").to(torch.bfloat16).save_pretrained(folder / "bert")
    assert load_encoder("hf-text:bert", device="cpu").module.dtype is torch.float32
    code, _, err = coldstart(
        *("encoders", "adapt", "--photos", "shop", "--out", "ours", "--base", "hf-text:bert"), *FAST
    )
    assert code == 0, err


def test_what_an_encoder_reads_is_its_own_word_and_not_its_names(
    coldstart, folder, tmp_path, monkeypatch
):
    """A text artifact learns categories, and titles are read by it, from wherever it is loaded."""
    monkeypatch.setattr("coldstart_models.domain.learning.Score.gain", lambda self, start: 1.1)
    shop = ("encoders", "adapt", "--photos", "shop", "--json")
    told = []
    for base, out in (("hf-text:bert", "texts"), ("folder:texts", "again")):
        code, out, err = coldstart(*shop, "--base", base, "--out", out, *FAST)
        assert code == 0, err
        told.append(json.loads(out))
    assert [list(one["folders"]) for one in told] == [["text"], ["text"]]
    code, _, err = coldstart(
        *(*shop, "--base", "hf-image:vit", "--text-encoder", "folder:texts", "--out", "pair"),
        *("--objective", "pairs", "--blocks", "0", *FAST),
    )
    assert code == 0, err
    config = json.loads((folder / "pair/text/config.json").read_text())
    assert config["base"] == f"folder:{folder / 'texts'}"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = load_encoder(f"folder:{folder / 'pair/text'}", device="cpu")
    assert text.encode(["a lamp"]).shape == (1, 8)


@pytest.mark.parametrize("option", ["--validate", "--holdout"])
@pytest.mark.parametrize(("share", "told"), [("-0.1", "equal to 0;"), ("0.95", "equal to 0.9;")])
def test_a_share_of_items_is_one(coldstart, folder, option, share, told):
    code, _, err = coldstart(
        *("encoders", "adapt", "--photos", "shop", "--out", "ours", option, share)
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"Invalid value for '{option}'" in err
    assert told in err


def test_nothing_ingested_is_one_line(coldstart):
    code, _, err = coldstart("encoders", "adapt", "--out", "ours")
    assert code == 2
    assert "run `coldstart ingest SOURCE` first" in err

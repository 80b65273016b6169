"""The command as people meet it: quick to start, helpful, and brief about their mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import typer

from coldstart_models import cli
from coldstart_models.config import LearnerChoice
from coldstart_models.errors import ConfigError
from coldstart_models.outputs import require_writable
from coldstart_models.siamese.learners.registry import AUTO, LEARNERS
from feature_repo.feature_tables import create_missing, write_table
from feature_repo.home import Home
from validation import tables

HEAVY = ("bentoml", "feast", "great_expectations", "pandas", "torch", "transformers", "sklearn")
NAMES = [
    *("validate", "ingest", "extract", "aggregate", "apply", "materialize", "pretrain"),
    *("train", "meta-train", "tune"),
    *("evaluate", "benchmark", "recommend", "listings", "consume", "build", "serve", "demo"),
    *("info", "skew"),
    *("quarantine", "encoders", "experiment", "models", "users", "keys"),
]
LISTED = """
import json, sys
from coldstart_models import cli
sys.argv = ["coldstart", "--help"]
try:
    cli.main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_help_loads_none_of_the_heavy_packages():
    done = subprocess.run(
        [sys.executable, "-c", LISTED], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "typer" in loaded
    assert [name for name in HEAVY if name in loaded] == []
    assert all(f"\n  {name} " in done.stdout for name in NAMES)


def test_the_subcommands_are_those_of_the_readme():
    assert list(typer.main.get_command(cli.app).commands) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_subcommand_explains_itself_with_examples(coldstart, name):
    code, out, err = coldstart(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: coldstart {name} ")
    _, _, examples = out.partition("Examples:")
    assert f"coldstart {name}" in examples


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["benchmark", "--source", "x", "--json", "folder"], "--json folder is a folder"),
        (["benchmark", "--source", "x", "--rankings", "folder"], "--rankings folder is a folder"),
        (["evaluate", "--json", "folder"], "--json folder is a folder; give the name of a file"),
        (["evaluate", "--report", "file/report.html"], "/file is a file"),
        (
            ["encoders", "begin", "x", "--source", "y", "--out", "folder"],
            "--out folder is a folder",
        ),
        (["encoders", "adapt", "--out", "file"], "--out file is a file; give the name of a folder"),
        (["encoders", "adapt", "--out", "file/ours"], "--out file/ours cannot be written"),
        (["encoders", "compare", "--out", "folder"], "--out folder is a folder"),
        (["pretrain", "--out", "file"], "--out file is a file; give the name of a folder"),
        (["tune", "--out", "folder"], "--out folder is a folder"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_written_is_told_before_the_work(coldstart, tmp_path, arguments, told):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    code, out, err = coldstart(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert told in err


def test_where_something_can_be_written_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    require_writable(None, option="--out")
    require_writable(Path("file"), option="--out")
    require_writable(Path("new/file"), option="--out")
    require_writable(Path("new/folder"), option="--out", folder=True)
    require_writable(tmp_path, option="--out", folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="no right to write"):
        require_writable(Path("new/file"), option="--out")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["ingest"], "Missing argument 'source'"),
        (["ingest", "nosuch"], "unknown source 'nosuch' (known: marketplace"),
        (["ingest", "table:nowhere"], "nowhere"),
        (["ingest", "marketplace:huge"], "huge"),
        (["ingest", "marketplace:small", "--as-of", "soon"], "--as-of is 'soon'"),
        (["extract"], "run `coldstart ingest SOURCE`"),
        (["extract", "--batch-size", "0"], "'--batch-size'"),
        (["extract", "--engine", "spark"], "--engine is 'spark'"),
        (["extract", "--precision", "half"], "--precision is 'half'"),
        (["extract", "--workers", "2"], "are of --engine ray"),
        (["extract", "--engine", "ray", "--decoders", "2"], "--decoders is of --engine local"),
        (["extract", "--config", "none.toml"], "there is no configuration file none.toml"),
        (["aggregate"], "run `coldstart ingest SOURCE`"),
        (["materialize"], "run `coldstart ingest SOURCE`"),
        (["train"], "run `coldstart ingest SOURCE`"),
        (["train", "--seed", "-1"], "'--seed'"),
        (["meta-train"], "run `coldstart train`"),
        (["meta-train", "--seed", "-1"], "'--seed'"),
        (["pretrain", "--seed", "-1"], "'--seed'"),
        (["encoders", "adapt", "--out", "ours", "--seed", "-1"], "'--seed'"),
        (["encoders", "begin", "x", "--source", "y", "--out", "z", "--seed", "-1"], "'--seed'"),
        (["evaluate", "--random-items", "0.2"], "run `coldstart ingest SOURCE`"),
        (["recommend", "--user", "u1"], "run `coldstart train`"),
        (["serve"], "run `coldstart train`"),
        (["listings", "nofile.jsonl"], "there is no file nofile.jsonl"),
        (["benchmark", "--source", "marketplace:small"], "--cutoff"),
        (["benchmark", "--source", "marketplace:small", "--cutoff", "July"], "'July'"),
        (["benchmark", "--source", "x", "--cutoff", "2010-07-01", "--shots", "a"], "'a'"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_a_users_mistake_is_one_line_and_exit_code_2(coldstart, arguments, told):
    code, out, err = coldstart(*arguments)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("coldstart: ")
    assert told in err


def test_a_wrong_key_in_the_configuration_is_named_with_the_nearest(coldstart, tmp_path):
    (tmp_path / "coldstart.toml").write_text("[extract]\nbatchsize = 3\n")
    code, _, err = coldstart("extract")
    assert code == 2
    assert err == (
        "coldstart: coldstart.toml: there is no key extract.batchsize; "
        "did you mean extract.batch_size?\n"
    )


def test_a_wrong_learner_in_the_configuration_is_told_with_those_there_are(coldstart, tmp_path):
    (tmp_path / "coldstart.toml").write_text('[meta]\nlearner = "mamll"\n')
    code, _, err = coldstart("meta-train")
    assert code == 2
    assert err.startswith("coldstart: coldstart.toml: meta.learner is 'mamll'")
    assert "'maml', 'anil', 'reptile'" in err


def test_the_configuration_knows_every_learner():
    assert get_args(LearnerChoice) == (AUTO, *LEARNERS)


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_info_works_before_anything_was_ingested(coldstart, tmp_path):
    code, out, _ = coldstart("info", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["home"] == str(tmp_path / "state")
    assert (told["sources"], told["views"], told["models"]) == ({}, {}, [])
    assert {"coldstart-home", "feast", "torch"} <= set(told["versions"])


def test_info_counts_each_source_and_names_the_step_to_repeat(coldstart, tmp_path):
    home = Home(tmp_path / "state")
    home.items.parent.mkdir(parents=True)
    items = pd.concat([tables.ITEMS.empty(), pd.DataFrame({"item_id": ["a", "b", "c"]})])
    items = items.assign(source=["shop", "shop", "service"]).astype(tables.ITEMS.empty().dtypes)
    write_table(tables.ITEMS.to_arrow(items), home.items)
    create_missing(home)
    os.utime(home.items, (2e9, 2e9))
    code, out, _ = coldstart("info", "--json")
    told = json.loads(out)
    assert code == 0
    assert {name: one["items"] for name, one in told["sources"].items()} == {
        "shop": 2,
        "service": 1,
    }
    assert told["do_next"] == ["the catalogue or the log changed after `coldstart aggregate`"]


def test_without_arguments_it_shows_the_help(coldstart):
    code, _, err = coldstart()
    assert code == 2
    assert err.startswith("Usage: coldstart")

"""What the README and the guides tell people to type exists, with those options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from benchmarks import tables
from coldstart_models.cli import app

PROJECT = Path(__file__).resolve().parents[1]
README = PROJECT / "README.md"
GUIDES = (README, *sorted((PROJECT / "docs").rglob("*.md")))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def shell_lines(document: Path) -> Iterator[str]:
    for block in re.findall(r"```bash\n(.*?)```", document.read_text(), flags=re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def typed(*programs: str) -> list[tuple[str, str]]:
    found = []
    for document in GUIDES:
        for line in shell_lines(document):
            words = shlex.split(line, comments=True)
            if words and words[0] in programs:
                found.append((document.name, line))
    return found


def made() -> set[str]:
    text = (PROJECT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z%-]*):", text, flags=re.MULTILINE))


def test_the_readme_has_the_commands_of_the_main_job():
    names = {line.split()[1] for name, line in typed("coldstart") if name == "README.md"}
    assert {"ingest", "extract", "aggregate", "apply", "materialize", "train"} <= names
    assert {"meta-train", "evaluate", "benchmark", "recommend", "listings", "serve"} <= names


@pytest.mark.parametrize(("document", "line"), typed("coldstart"))
def test_every_coldstart_line_is_a_command_with_those_options(document, line):
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = COMMANDS[name]
    if isinstance(command, typer.core.TyperGroup):
        name, *arguments = arguments
        command = command.commands[name]
    assert command.make_context(name, arguments).command is command


@pytest.mark.parametrize(("document", "line"), typed("make"))
def test_every_make_line_has_its_target(document, line):
    targets = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    assert set(targets) <= made()


def test_the_table_of_commands_is_the_commands():
    rows = re.findall(r"^\| `coldstart ([a-z-]+)", README.read_text(), flags=re.MULTILINE)
    assert rows == [name for name in rows if name in COMMANDS]
    assert sorted(rows) == sorted(COMMANDS)


@pytest.mark.parametrize("document", GUIDES, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_every_place_for_a_table_can_be_filled():
    text = README.read_text()
    names = re.findall(r"<!-- table:(\w+) -->", text)
    assert names == ["online_retail", "ikea", "complete_journey", "amazon_2018", "amazon_2023"]
    for name in names:
        filled = tables.placed(text, "a table\n", name=name)
        assert f"<!-- table:{name} -->\na table\n<!-- /table:{name} -->" in filled
        assert tables.placed(filled, "a table\n", name=name) == filled


def test_the_page_of_benchmarks_has_a_place_for_each():
    text = (PROJECT / "docs" / "benchmarks.md").read_text()
    names = re.findall(r"<!-- table:(\w+) -->", text)
    assert names == [
        "targets",
        "quality",
        "attainable",
        "transfer",
        "shots",
        "cells",
        "control",
        "ablation",
        "event_weights",
        "starting_weights",
        "extraction",
        "extraction_again",
        "serving",
        "streaming",
        "aggregation",
        "ranking",
        "training",
        "gate",
        "materialize",
    ]
    assert all(tables.placed(text, "x\n", name=name) for name in names)


def test_the_page_of_encoders_has_a_place_for_each_table():
    text = (PROJECT / "docs" / "encoders.md").read_text()
    names = re.findall(r"<!-- table:(\w+) -->", text)
    assert names == [
        "languages",
        "encoders_ikea",
        "adaptation",
        "adaptation_3_blocks",
        "adaptation_resnet50",
        "adapted_ranking",
        "text_adaptation",
    ]
    assert all(tables.placed(text, "x\n", name=name) for name in names)


def test_help_lists_every_documented_target():
    described = re.findall(r"^([a-z%-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert set(described) == made()
    wanted = {"setup", "format", "lint", "types", "test", "test-slow", "demo", "serve", "clean"}
    assert wanted <= set(described)


def test_every_benchmark_of_the_makefile_is_a_module():
    makefile = (PROJECT / "Makefile").read_text()
    together = re.findall(r"bench-(\w+)", makefile.partition("\nbench: ")[2].partition(" ##")[0])
    each = makefile.partition("## Run one (")[2].partition(")")[0].split(", ")
    assert together
    assert set(together) < set(each)
    assert [name for name in each if not (PROJECT / "benchmarks" / f"{name}.py").is_file()] == []

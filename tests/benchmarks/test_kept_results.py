"""Results that are kept: taken up where all that they depend on is the same, and nowhere else."""

import json

from benchmarks import code_versions
from benchmarks.code_versions import code_version
from benchmarks.kept_results import kept, kept_path


def test_a_result_is_measured_once(tmp_path):
    asked = []

    def measure():
        asked.append(1)
        return {"value": 1}

    path = tmp_path / "deep" / "one.json"
    assert [kept(path, measure), kept(path, measure)] == [{"value": 1}] * 2
    assert (len(asked), json.loads(path.read_text())) == (1, {"value": 1})
    assert [file.name for file in path.parent.iterdir()] == ["one.json"]


def test_another_question_other_data_and_other_code_are_other_results(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    code = tmp_path / "benchmarks" / "one.py"
    monkeypatch.setattr(code_versions, "PROJECT", tmp_path)

    def place(text="x = 1\n", *, asked=("a", 1), data=(34, "hash")):
        code.write_text(text)
        code_version.cache_clear()
        return kept_path(
            tmp_path, "cut-0", asked=asked, fingerprint=data, modules=["benchmarks.one"]
        )

    first = place()
    assert first.name.startswith("cut-0-")
    assert place("x = 1  # why\n") == first
    others = {place("x = 2\n"), place(asked=("a", 2)), place(data=(35, "hash"))}
    code_version.cache_clear()
    assert len(others) == 3
    assert first not in others

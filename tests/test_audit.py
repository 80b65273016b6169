"""A vulnerability stops the build; a service that cannot be asked is told and does not."""

from datetime import date
from pathlib import Path

import pytest

from audit import dependencies
from audit.dependencies import IGNORED, Answer, audited, ignored

TODAY = date(2026, 3, 1)
LOCK = Path("requirements.txt")
TOLD = {
    "dependencies": [
        {"name": "safe", "version": "1.0", "vulns": []},
        {
            "name": "holed",
            "version": "2.0",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]}],
        },
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
        *({"name": f"sound-{number}", "version": "1.0", "vulns": []} for number in range(18)),
    ]
}


@pytest.fixture
def excepted(tmp_path: Path) -> Path:
    path = tmp_path / "ignored.toml"
    path.write_text("")
    return path


def lock_of(checked: int, skipped: int) -> Answer:
    return Answer(checked, tuple(f"unknown-{number}" for number in range(skipped)), ())


@pytest.mark.parametrize(("checked", "skipped", "code"), [(1, 299, 1), (95, 5, 0), (94, 6, 1)])
def test_an_answer_about_too_few_of_the_packages_is_no_audit(
    excepted: Path, capsys: pytest.CaptureFixture[str], checked: int, skipped: int, code: int
) -> None:
    asked = lambda *_: lock_of(checked, skipped)  # noqa: E731
    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == code
    told = f"left out {skipped} of {checked + skipped} dependencies, more than 5%"
    assert (told in capsys.readouterr().err) == (code == 1)


def test_where_one_service_knows_too_few_the_next_is_asked(excepted: Path) -> None:
    def asked(_: Path, service: str) -> Answer | None:
        return lock_of(1, 299) if service == "pypi" else lock_of(300, 0)

    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == 0
    asked = lambda _, service: lock_of(1, 299) if service == "pypi" else None  # noqa: E731
    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == 1


def test_a_vulnerability_is_told_and_stops_the_build(
    excepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = lambda *_: Answer.of(TOLD)  # noqa: E731
    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == 1
    out, err = capsys.readouterr()
    assert err == "vulnerable: holed 2.0: PYSEC-1, CVE-1; mended in 2.1\n"
    assert "pypi knows nothing of: unknown" in out
    assert "20 dependencies checked, 1 vulnerabilities" in out


@pytest.mark.parametrize(("until", "code"), [("2026-03-01", 0), ("2026-02-28", 1)])
def test_what_is_ignored_has_a_reason_and_a_day(
    excepted: Path, capsys: pytest.CaptureFixture[str], until: str, code: int
) -> None:
    row = f'[[ignored]]\nid = "CVE-1"\npackage = "holed"\nreason = "not run"\nuntil = {until}\n'
    excepted.write_text(row)
    asked = lambda *_: Answer.of(TOLD)  # noqa: E731
    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == code
    assert ("(not run)" in capsys.readouterr().out) == (code == 0)


def test_a_service_that_cannot_be_asked_is_told_and_the_next_is_asked(
    excepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def asked(_: Path, service: str) -> Answer | None:
        order.append(service)
        return None if service == "pypi" else Answer.of({"dependencies": TOLD["dependencies"][:1]})

    assert audited(LOCK, today=TODAY, asked=asked, excepted=excepted) == 0
    assert order == ["pypi", "osv"]
    assert "osv: 1 dependencies checked, 0 vulnerabilities" in capsys.readouterr().out
    assert audited(LOCK, today=TODAY, asked=lambda *_: None, excepted=excepted) == 0
    assert "NOT AUDITED: neither pypi nor osv could be asked" in capsys.readouterr().err


def test_an_answer_that_checked_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        stdout = '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'
        stderr = ""

    monkeypatch.setattr(dependencies.subprocess, "run", lambda *_, **__: Done())
    assert dependencies.ask(LOCK, "pypi") is None
    Done.stdout, Done.stderr = "", "ERROR: connection refused"
    assert dependencies.ask(LOCK, "pypi") is None


def test_every_exception_of_the_project_has_its_reason() -> None:
    assert all(ignored(IGNORED, today=TODAY).values())


def test_an_exception_without_a_reason_is_refused(excepted: Path) -> None:
    excepted.write_text(
        '[[ignored]]\nid = "CVE-1"\npackage = "a"\nreason = " "\nuntil = 2026-12-31'
    )
    with pytest.raises(ValueError, match="reason"):
        ignored(excepted, today=TODAY)

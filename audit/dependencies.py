"""Ask what is known to be vulnerable of the locked dependencies: ``python -m audit.dependencies``.

pip-audit asks PyPI, then OSV where PyPI does not tell. A found vulnerability is exit code 1. So is
an answer that leaves out more than a twentieth of the packages: these may be vulnerable. Where
neither can be asked (no network, or a mirror without advisories) that is said, and is no failure:
who builds on a train is not stopped by it, and nobody takes it for a clean answer.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

SERVICES: Final = ("pypi", "osv")
IGNORED: Final = Path(__file__).resolve().parent / "ignored.toml"
MOST_SKIPPED: Final = 0.05
"""Share of the dependencies of which a service may know nothing, where it knows the others."""
SECONDS: Final = 180
"""For one service."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability of a package."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        mended = f"; mended in {', '.join(self.fixed_in)}" if self.fixed_in else "; not mended yet"
        return f"{self.package} {self.version}: {', '.join(self.ids)}{mended}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service told of the dependencies."""

    checked: int
    skipped: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def share_skipped(self) -> float:
        """Of all dependencies."""
        return len(self.skipped) / max(self.checked + len(self.skipped), 1)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Answer":
        """Of pip-audit's JSON."""
        checked = [one for one in told["dependencies"] if "skip_reason" not in one]
        skipped = tuple(one["name"] for one in told["dependencies"] if "skip_reason" in one)
        findings = tuple(
            Finding(
                one["name"],
                one["version"],
                tuple(dict.fromkeys([hole["id"], *hole.get("aliases", ())])),
                tuple(hole.get("fix_versions", ())),
            )
            for one in checked
            for hole in one.get("vulns", ())
        )
        return cls(len(checked), skipped, findings)


def ask(requirements: Path, service: str) -> Answer | None:
    """What pip-audit tells; None where the service cannot be asked."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements)]
    command += ["--require-hashes", "--disable-pip", "--vulnerability-service", service]
    command += ["--format", "json", "--aliases", "on", "--progress-spinner", "off"]
    command += ["--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    try:
        answer = Answer.of(json.loads(done.stdout))
    except (ValueError, KeyError):
        print(
            f"{service}: {(done.stderr.strip() or 'no answer').splitlines()[-1]}", file=sys.stderr
        )
        return None
    return answer if answer.checked else None


def ignored(path: Path, *, today: date) -> dict[str, str]:
    """Id → reason of the advisories that are not to count today. Raises ValueError."""
    known = {}
    for row in tomllib.loads(path.read_text(encoding="utf-8")).get("ignored", []):
        if not {"id", "package", "reason", "until"} <= set(row) or not row["reason"].strip():
            raise ValueError(f"{path}: an entry needs id, package, reason and until: {row}")
        if row["until"] >= today:
            known[row["id"]] = row["reason"]
    return known


def audited(
    requirements: Path,
    *,
    today: date,
    asked: Callable[[Path, str], Answer | None] = ask,
    excepted: Path = IGNORED,
) -> int:
    """Say what was found; the exit code."""
    reasons, lacking = ignored(excepted, today=today), False
    for service in SERVICES:
        answer = asked(requirements, service)
        if answer is None:
            continue
        counted = []
        for finding in answer.findings:
            reason = next((reasons[one] for one in finding.ids if one in reasons), None)
            if reason is None:
                counted.append(finding)
            else:
                print(f"ignored: {finding} ({reason})")
        for finding in counted:
            print(f"vulnerable: {finding}", file=sys.stderr)
        if answer.skipped:
            print(f"{service} knows nothing of: {', '.join(answer.skipped)}")
        print(f"{service}: {answer.checked} dependencies checked, {len(counted)} vulnerabilities")
        if counted:
            return 1
        if answer.share_skipped <= MOST_SKIPPED:
            return 0
        lacking = True
        print(
            f"{service} left out {len(answer.skipped)} of {answer.checked + len(answer.skipped)} "
            f"dependencies, more than {MOST_SKIPPED:.0%}: they are not audited",
            file=sys.stderr,
        )
    if lacking:
        return 1
    print(
        f"NOT AUDITED: neither {' nor '.join(SERVICES)} could be asked for advisories from here; "
        "run `make lint` where they can be reached",
        file=sys.stderr,
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit a lock."""
    parser = argparse.ArgumentParser(prog="audit.dependencies", description=__doc__)
    parser.add_argument("requirements", type=Path, nargs="?", default=Path("requirements.txt"))
    options = parser.parse_args(arguments)
    return audited(options.requirements, today=datetime.now(UTC).date())


if __name__ == "__main__":
    sys.exit(main())

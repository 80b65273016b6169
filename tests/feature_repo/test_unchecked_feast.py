"""Feast is imported without the checks that it would compile for each of its methods."""

import subprocess
import sys
from pathlib import Path

import typeguard

from feature_repo.unchecked_feast import unchecked

TOLD = """
import sys
{first}
from feast import FeatureView
print("typeguard" in FeatureView.__init__.__code__.co_names)
"""
OPENED = """
from pathlib import Path
from feature_repo.home import Home
from feature_repo.store import Store
Store(Home(Path(sys.argv[1])))._feast
"""


def checked(first: str, *arguments: str) -> bool:
    """Whether Feast's functions check their arguments in a process that does something first."""
    command = [sys.executable, "-W", "ignore", "-c", TOLD.format(first=first), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return told.stdout.split()[-1] == "True"


def test_a_store_opens_feast_without_checks_that_feast_alone_has(tmp_path: Path) -> None:
    assert checked("")
    assert not checked(OPENED, str(tmp_path))


def test_what_is_decorated_within_the_block_stays_as_it_is_written() -> None:
    def plain(count: int) -> int:
        return count

    usual = typeguard.typechecked
    with unchecked():
        assert typeguard.typechecked(plain) is plain
        assert typeguard.typechecked(forward_refs_policy=None)(plain) is plain
    assert typeguard.typechecked is usual

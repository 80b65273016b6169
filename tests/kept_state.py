"""A state folder that was filled once, put back for every test that begins with it."""

import shutil
from pathlib import Path

from feature_repo.home import Home


class KeptState:
    """A state folder, and what it was when it was kept under a name.

    It is always put back at the same place, as Feast's registry names tables by their whole path.
    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def keep(self, name: str) -> None:
        shutil.copytree(self.home.root, self._copy(name), symlinks=True)

    def put_back(self, name: str) -> Home:
        shutil.rmtree(self.home.root)
        shutil.copytree(self._copy(name), self.home.root, symlinks=True)
        return self.home

    def _copy(self, name: str) -> Path:
        return self.home.root.with_name(f"kept-{name}")

"""Where a command is to write: asked before the work, which may take hours, and not after it."""

import os
from pathlib import Path

from coldstart_models.errors import ConfigError


def require_writable(path: Path | None, *, option: str, folder: bool = False) -> None:
    """Raise ConfigError where nothing can be written at a path; None is no path.

    Nothing is made: a command that fails for another reason leaves no trace.

    Args:
        option: by which it was asked for.
        folder: whether files are written in it; else it is the file.
    """
    if path is None:
        return
    if path.is_dir() is not folder and path.exists():
        is_what, wanted = ("a file", "a folder") if folder else ("a folder", "a file")
        raise ConfigError(f"{option} {path} is {is_what}; give the name of {wanted}")
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir() and there != path:
        raise ConfigError(f"{option} {path} cannot be written: {there} is a file")
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise ConfigError(f"{option} {path} cannot be written: no right to write {there}")

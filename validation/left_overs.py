"""What a writer of `whole_files` that was killed left beside the file."""

from pathlib import Path


def remove_left_over(path: Path) -> int:
    """Remove what writers that were killed left beside the file; returns how many.

    Hold the lock of those who write it.
    """
    path = path.resolve() if path.is_symlink() else path
    left = list(path.parent.glob(f".{path.name}.*.partial"))
    for one in left:
        one.unlink(missing_ok=True)
    return len(left)

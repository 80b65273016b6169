"""Names on a command line: a part of those that there are."""

import argparse
from collections.abc import Callable, Collection


def part_of(known: Collection[str], separator: str = ",") -> Callable[[str], tuple[str, ...]]:
    """What argparse makes of names; it refuses one that is not known, and tells those that are.

    Args:
        separator: between names; another one where names have commas.
    """

    def names(given: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in given.split(separator) if part.strip())
        strange = [name for name in found if name not in known]
        if strange or not found:
            raise argparse.ArgumentTypeError(
                f"{', '.join(map(repr, strange)) or 'nothing'} of {(separator + ' ').join(known)} "
                f"(several are separated by {separator!r})"
            )
        return found

    return names

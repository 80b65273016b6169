import argparse

import pytest

from benchmarks.choices import part_of


def test_names_are_taken_apart_and_unknown_ones_refused_with_those_there_are() -> None:
    assert part_of(("a", "b", "c"))("a, c,") == ("a", "c")
    assert part_of(("pairs, clip", "labels"), ";")("pairs, clip; labels") == (
        "pairs, clip",
        "labels",
    )
    with pytest.raises(argparse.ArgumentTypeError, match=r"'a,b' of a; b \(several"):
        part_of(("a", "b"), ";")("a,b")
    with pytest.raises(argparse.ArgumentTypeError, match="nothing of a"):
        part_of(("a",))(" ,")

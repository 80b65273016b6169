import numpy as np
import pandas as pd
import pytest

from validation.identities import FirstRows, Ids, distinct, repeated


@pytest.mark.parametrize(
    "values", [[], [3], [3, 3], [2, 1, 2, 3, 1], [2**64 - 1, 0, 2**64 - 1, 2**32, 2**32 + 1]]
)
def test_distinct_and_repeated_values_ascend(values: list[int]) -> None:
    given = np.array(values, np.uint64)
    assert distinct(given).tolist() == sorted(set(values))
    assert repeated(given).tolist() == sorted({one for one in values if values.count(one) > 1})
    assert given.tolist() == values


def test_a_set_of_ids_knows_its_own_and_no_other() -> None:
    ids = Ids.of(["a", "b", "b"])
    assert ids.has(pd.Series(["b", "c", None, "a"])).tolist() == [True, False, False, True]
    assert Ids.of([]).has(pd.Series(["a"])).tolist() == [False]
    both = Ids.union([ids, Ids.of(pd.Series(["c"]))])
    assert both.has(pd.Series(["c", "d"])).tolist() == [True, False]
    assert Ids.of(both) is both


def test_of_several_rows_of_an_id_the_first_is_told_from_the_others_across_chunks() -> None:
    first = FirstRows(Ids.of(["a", "b"]))
    one = pd.DataFrame({"item_id": ["a", "c", "a"], "price": [1, 2, 3]})
    assert first.take(one["item_id"], one, offset=0)[0].tolist() == [True, True, False]
    two = pd.DataFrame({"item_id": ["a", "b"], "price": [1, 2]})
    flags, told = first.take(two["item_id"], two, offset=3)
    assert flags.tolist() == [False, True]
    assert told == {0: "is also the id of row 0, an identical row"}

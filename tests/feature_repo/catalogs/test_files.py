import gzip
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.files import find_table, read_table, table_parts
from feature_repo.catalogs.source import SourceError


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_keeps_leading_zeros_and_words_that_look_like_null(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path / "a.csv", "item_id,title\n007,NA\n,null\n"))
    assert frame["item_id"].tolist()[0] == "007"
    assert frame["title"].tolist() == ["NA", "null"]
    assert frame["item_id"].isna().tolist() == [False, True]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_off_the_header(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join("ab") + "\n" + delimiter.join("12") + "\n"
    assert read_table(written(tmp_path / "a.csv", text)).to_dict("records") == [
        {"a": "1", "b": "2"}
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_table(written(tmp_path / "a.csv", "\ufeffa,b\n1,2\n")).columns.tolist() == [
        "a",
        "b",
    ]


def test_a_csv_row_with_too_many_fields_is_kept_as_text_and_loses_no_other(
    tmp_path: Path,
) -> None:
    frame = read_table(written(tmp_path / "a.csv", "a,b\n1,2\n3,4,5\n6,7\n"))
    assert frame["a"].tolist() == ["1", None, "6"]
    assert frame[UNREADABLE].tolist() == [None, "line 3: 3,4,5", None]


def test_rows_that_are_all_too_long_are_not_taken_for_an_index(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path / "a.csv", "a,b\n1,2,3\n4,5,6\n"))
    assert frame[UNREADABLE].tolist() == ["line 2: 1,2,3", "line 3: 4,5,6"]


def test_an_unclosed_quote_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    text = 'a,b\n1,"open\n2,x\n3,"two\nlines"\n4,"y, z"\n'
    frame = read_table(written(tmp_path / "a.csv", text + '5,"end\n'))
    assert frame["a"].tolist()[-2:] == ["4", None]
    assert "2" in frame["a"].tolist()
    assert frame.loc[frame["a"] == "3", "b"].tolist() == ["two\nlines"]
    assert frame[UNREADABLE].dropna().tolist() == ['line 2: 1,"open', 'line 7: 5,"end']


def test_a_broken_json_line_is_kept_as_text_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write('{"a": 1}\n\n{"a": \n[1]\n{"a": 2, "b": [1]}\n')
    frame = read_table(path)
    assert frame["a"].tolist()[0] == 1
    assert frame[UNREADABLE].dropna().tolist() == ['line 3: {"a":', "line 4: [1]"]
    assert len(frame) == 4


def test_a_json_array_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"one JSON array.*jq -c"):
        read_table(written(tmp_path / "items.json", '[{"a": 1}]'))


def test_text_in_another_encoding_names_the_option(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a\ncafé\n", "cp1252")
    with pytest.raises(SourceError, match="encoding = "):
        read_table(path)
    assert read_table(path, encoding="cp1252")["a"].tolist() == ["café"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_a_file_of_no_bytes_is_empty(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="empty"):
        read_table(written(tmp_path / name, ""))


def test_a_header_alone_holds_no_rows(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no rows"):
        read_table(written(tmp_path / "a.csv", "a,b\n"))


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz", "a.jsonl.gz"])
def test_a_file_that_is_not_what_its_ending_says_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=name):
        read_table(written(tmp_path / name, "plainly text\n"))


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"a": 1}\n' * 10_000)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"a\.jsonl\.gz"):
        read_table(path)


def test_two_candidates_are_refused_and_a_named_one_is_taken(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "items.parquet")
    written(tmp_path / "items.csv", "a\n1\n")
    with pytest.raises(SourceError, match=r"items\.csv and items\.parquet"):
        find_table(tmp_path, ["items"])
    assert find_table(tmp_path, ["items"], named="items.csv") == tmp_path / "items.csv"
    with pytest.raises(SourceError, match=r"names gone\.csv"):
        find_table(tmp_path, ["items"], named="gone.csv")


def test_a_pair_of_stray_quotes_does_not_make_one_row_of_three(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path / "a.csv", 'a,b\n1,"open\n2,x\n3,"more\n4,y\n'))
    assert frame["a"].tolist() == [None, "2", None, "4"]
    assert frame[UNREADABLE].dropna().tolist() == ['line 2: 1,"open', 'line 4: 3,"more']


def test_text_over_several_lines_stays_one_cell(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path / "a.csv", 'a,b\r\n1,"one\r\ntwo"\r\n2,x\r\n'))
    assert frame["a"].tolist() == ["1", "2"]
    assert frame["b"].tolist() == ["one\r\ntwo", "x"]


@settings(max_examples=80, deadline=None)
@given(content=st.binary(max_size=300), ending=st.sampled_from([".csv", ".jsonl", ".parquet"]))
def test_any_bytes_are_a_table_or_one_clear_error(content: bytes, ending: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"items{ending}"
        path.write_bytes(content)
        with suppress(SourceError):
            assert isinstance(read_table(path), pd.DataFrame)


@pytest.mark.parametrize("rows", [None, 2])
def test_large_integers_of_parquet_are_exact_beside_a_null(
    tmp_path: Path, rows: int | None
) -> None:
    ids = [2**53 + 1, 2**53, None, 7]
    large = [2**64 - 1, None, 2**63 + 1, 1]
    columns = {"id": pa.array(ids), "large": pa.array(large, pa.uint64())}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    parts = list(table_parts(tmp_path / "a.parquet", rows=rows))
    for name, values in (("id", ids), ("large", large)):
        read = [value for part in parts for value in part[name].tolist()]
        assert [None if pd.isna(value) else value for value in read] == values


@pytest.mark.parametrize("value", ["1" * 5_000, "[" * 100_000 + "]" * 100_000])
def test_a_json_line_that_python_cannot_hold_is_kept_as_text(tmp_path: Path, value: str) -> None:
    text = f'{{"a": 1}}\n{{"a": {value}}}\n'
    frame = read_table(written(tmp_path / "a.jsonl", text))
    assert frame["a"].tolist() == [1, None]
    assert frame[UNREADABLE].iloc[1].startswith('line 2: {"a": ')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "UTF-8", "utf8", "utf_8"])
def test_however_utf_8_is_spelled_a_mark_is_no_part_of_a_name(
    tmp_path: Path, encoding: str
) -> None:
    path = written(tmp_path / "a.csv", "\ufeffa,b\n1,2\n3,4,5\n")
    assert read_table(path, encoding=encoding).columns.tolist() == ["a", "b", UNREADABLE]


def test_a_name_twice_in_the_header_of_an_uneven_csv_is_told_apart(tmp_path: Path) -> None:
    even = read_table(written(tmp_path / "even.csv", "a,b,b,\n1,2,3,4\n"))
    uneven = read_table(written(tmp_path / "uneven.csv", "a,b,b,\n1,2,3,4\n5,6,7,8,9\n"))
    assert uneven.columns.tolist() == [*even.columns, UNREADABLE]
    assert uneven.loc[0, even.columns].tolist() == even.loc[0].tolist()


@pytest.mark.parametrize("rows", [None, 1])
def test_a_nul_byte_does_not_end_a_cell_of_csv(tmp_path: Path, rows: int | None) -> None:
    path = written(tmp_path / "a.csv", "a,b\n1,Oak\0 table\n2,Pine\n")
    read = [value for part in table_parts(path, rows=rows) for value in part["b"].tolist()]
    assert read == ["Oak\0 table", "Pine"]


def test_bytes_of_parquet_are_text_where_they_are_utf_8(tmp_path: Path) -> None:
    values = ["café".encode(), b"\xff\xd8", None]
    pq.write_table(pa.table({"a": pa.array(values, pa.binary())}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet")["a"].tolist() == ["café", b"\xff\xd8", None]

"""How feature tables lie on disk."""

import pyarrow.parquet as pq
import pytest

from feature_repo.feature_tables import FEATURE_TABLES, write_table
from tests.feature_repo.feature_samples import awkward_rows


@pytest.mark.parametrize("name", list(FEATURE_TABLES))
def test_vectors_are_packed_by_snappy_everything_else_by_zstd_and_all_is_read_back(name, tmp_path):
    table, path = FEATURE_TABLES[name], tmp_path / "table.parquet"
    rows = awkward_rows(table)
    write_table(rows, path)
    first = pq.read_metadata(path).row_group(0)
    packed = [first.column(number) for number in range(first.num_columns)]
    floats = {column.path_in_schema for column in packed if column.compression == "SNAPPY"}
    assert floats == {
        f"{field.name}.list.element"
        for field in table.schema
        if str(field.type).startswith("list") and "float" in str(field.type)
    }
    assert {column.compression for column in packed} <= {"SNAPPY", "ZSTD"}
    assert repr(pq.read_table(path).to_pylist()) == repr(rows.to_pylist())

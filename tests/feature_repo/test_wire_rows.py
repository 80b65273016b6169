"""Rows made of Arrow's buffers against those that Feast makes itself, byte by byte."""

import pyarrow as pa
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import extract_text_and_num
from feast.utils import _convert_arrow_to_proto, to_naive_utc
from feast.value_type import ValueType

from feature_repo.feature_definitions import definitions
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.wire_rows import wire_rows, wire_rows_of_protos
from tests.feature_repo.feature_samples import awkward_rows


@pytest.mark.parametrize("name", list(FEATURE_TABLES))
def test_every_view_goes_online_as_feast_itself_would_write_it(name, tmp_path):
    table = FEATURE_TABLES[name]
    rows = awkward_rows(table)
    view = definitions(Home(tmp_path))[name]
    made = wire_rows(rows, table=table)
    expected = _convert_arrow_to_proto(rows, view, {table.key: ValueType.STRING})
    assert made.keys == [serialize_entity_key(key) for key, *_ in expected]
    assert made.event_times == [to_naive_utc(moment) for _, _, moment, _ in expected]
    assert made.created_times == [to_naive_utc(moment) for *_, moment in expected]
    for column in table.features:
        protos = [values[column.name] for _, values, *_ in expected]
        written = [proto.SerializeToString() for proto in protos]
        assert made.values[column.name] == written, column.name
        texts = [extract_text_and_num(proto, False)[0] for proto in protos]
        assert made.texts[column.name] == texts, column.name


def test_rows_that_feast_hands_over_are_the_same(tmp_path):
    table = FEATURE_TABLES["user_history"]
    rows = awkward_rows(table)
    view = definitions(Home(tmp_path))[table.name]
    protos = _convert_arrow_to_proto(rows, view, {table.key: ValueType.STRING})
    assert wire_rows_of_protos(protos) == wire_rows(rows, table=table)
    assert len(wire_rows_of_protos([])) == 0


def test_a_slice_of_a_batch_is_cut_at_its_own_rows():
    table = FEATURE_TABLES["item_image_embedding"]
    rows = awkward_rows(table)
    whole = wire_rows(rows, table=table)
    part = wire_rows(rows.slice(5, 4), table=table)
    assert part.keys == whole.keys[5:9]
    assert part.values == {name: values[5:9] for name, values in whole.values.items()}


def test_no_rows_give_no_bytes():
    table = FEATURE_TABLES["user_history"]
    made = wire_rows(table.schema.empty_table(), table=table)
    assert len(made) == 0
    assert list(made.by_feature()) == []


def test_values_come_row_by_row_with_their_number():
    table = FEATURE_TABLES["item_vector"]
    made = wire_rows(awkward_rows(table).slice(3, 2), table=table)
    told = [(key, feature, number) for key, feature, _, _, number in made.by_feature(range(2))]
    assert told == [
        (made.keys[number], feature, number) for number in (0, 1) for feature in ("vector", "model")
    ]
    assert isinstance(made.keys[0], bytes)
    assert pa.array([one for *_, one in told]).to_pylist() == [0, 0, 1, 1]

import json
from pathlib import Path

import pandas as pd
import pytest

from feature_repo.catalogs import hm
from feature_repo.catalogs.source import Ordering, SourceError
from validation import tables

ARTICLES = """article_id,product_code,prod_name,product_type_name,product_group_name,\
graphical_appearance_name,colour_group_name,department_name,index_group_name,section_name,\
garment_group_name,detail_desc
0108775015,0108775,Strap top,Vest top,Garment Upper body,Solid,Black,Jersey Basic,Ladieswear,\
Womens Everyday Basics,Jersey Basic,"Jersey top with narrow shoulder straps, short."
0300000001,0300000,Cushion,Cushion cover,Interior textile,Stripe,Beige,Living,Divided,Other,\
Unknown,
0400000001,0400000,Vase,Vase,Items,Solid,White,Decor,H&M Home,Other,Unknown,A vase.
"""
TRANSACTIONS = """t_dat,customer_id,article_id,price,sales_channel_id
2018-09-20,c1,0108775015,0.0508305084745762,2
2018-09-20,c1,0108775015,0.0508305084745762,2
2018-09-21,c2,0999999999,0.01,1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "articles.csv").write_text(ARTICLES)
    (tmp_path / "transactions_train.csv").write_text(TRANSACTIONS)
    (tmp_path / "customers.csv").write_text("customer_id,age\nc1,30\n")
    (tmp_path / "images" / "010").mkdir(parents=True)
    (tmp_path / "images" / "010" / "0108775015.jpg").write_bytes(b"x")
    return tmp_path


def test_articles_keep_their_zero_and_find_their_photo(folder: Path) -> None:
    items = hm.read(folder).items
    assert items[tables.ITEM_ID].tolist() == ["0108775015", "0300000001", "0400000001"]
    assert items[tables.IMAGE_PATH].tolist() == [
        str(folder / "images" / "010" / "0108775015.jpg"),
        None,
        None,
    ]
    top = items.iloc[0]
    assert top[tables.TITLE] == "Strap top"
    assert top[tables.DESCRIPTION] == "Jersey top with narrow shoulder straps, short."
    assert top[tables.CATEGORY] == "Ladieswear > Garment Upper body > Vest top"
    assert json.loads(top[tables.ATTRIBUTES]) == {
        "colour_group_name": "Black",
        "department_name": "Jersey Basic",
        "garment_group_name": "Jersey Basic",
        "graphical_appearance_name": "Solid",
        "section_name": "Womens Everyday Basics",
    }


def test_the_domain_is_home_by_group_or_by_name(folder: Path) -> None:
    assert hm.read(folder).items[tables.DOMAIN].tolist() == ["clothing", "home", "home"]


def test_every_transaction_line_travels(folder: Path) -> None:
    source = hm.read(folder)
    assert source.ordering is Ordering.TIME
    assert source.events[tables.ITEM_ID].tolist() == ["0108775015", "0108775015", "0999999999"]
    assert source.events[tables.EVENT_TYPE].unique().tolist() == [tables.PURCHASE]
    assert source.events[tables.QUANTITY].tolist() == [1.0, 1.0, 1.0]
    assert source.events[tables.EVENT_TIMESTAMP].iloc[2] == pd.Timestamp("2018-09-21", tz="UTC")
    assert source.events[tables.UNIT_PRICE].iloc[2] == "0.01"


def test_without_a_folder_of_images_no_article_has_a_photo(folder: Path) -> None:
    (folder / "images" / "010" / "0108775015.jpg").unlink()
    (folder / "images" / "010").rmdir()
    (folder / "images").rmdir()
    assert hm.read(folder).items[tables.IMAGE_PATH].tolist() == [None, None, None]


def test_a_missing_file_and_a_missing_column_are_named(folder: Path) -> None:
    (folder / "articles.csv").write_text("id,prod_name\n1,x\n")
    with pytest.raises(SourceError, match=r"lacks the column\(s\) article_id; it has id"):
        hm.read(folder)
    (folder / "articles.csv").unlink()
    with pytest.raises(SourceError, match=r"has no articles\.csv"):
        hm.read(folder)

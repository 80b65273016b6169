"""``hm:DIR``: the files of H&M Personalized Fashion Recommendations, as they come.

Read are `articles.csv`, `transactions_train.csv` and ``images/0XX/0XXXXXXXXX.jpg``;
`customers.csv` describes users, which the canonical tables do not hold, and may lie there.

- Article ids keep their leading zero. An article without a photo has none: null.
- Domain: ``home`` where the index group, section or department says *home*, or the product
  group is interior textiles or furniture; every other article is ``clothing``.
- Category path: index group > product group > product type. The other ``*_name`` columns
  become attributes.
- A transaction line is one piece; the price is in the shop's own scaled unit, so no currency
  is stated. Dates have no hour: a day's purchases share its midnight.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from feature_repo.catalogs import files, raw
from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.moments import moments
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import tables

NAME: Final = "hm"
HOME: Final = "home"
CLOTHING: Final = "clothing"
ARTICLES: Final = "articles.csv"
TRANSACTIONS: Final = "transactions_train.csv"
ARTICLE_ID: Final = "article_id"
LEVELS: Final = ("index_group_name", "product_group_name", "product_type_name")
HOME_PLACES: Final = ("index_group_name", "section_name", "department_name")
HOME_GROUPS: Final = ("Interior textile", "Furniture")
ATTRIBUTE_NAMES: Final = (
    "colour_group_name",
    "graphical_appearance_name",
    "perceived_colour_value_name",
    "perceived_colour_master_name",
    "department_name",
    "section_name",
    "garment_group_name",
)


def read(folder: Path) -> SourceData:
    """Read the folder. Raises SourceError naming the file or column that is missing."""
    folder = files.existing_folder(folder)
    articles = _read(folder, ARTICLES, (ARTICLE_ID, "prod_name"))
    lines = _read(folder, TRANSACTIONS, ("t_dat", "customer_id", ARTICLE_ID))
    return SourceData(NAME, _items(articles, folder / "images"), _events(lines), Ordering.TIME)


def _read(folder: Path, name: str, required: Sequence[str]) -> pd.DataFrame:
    candidates = [folder / name, folder / f"{name}.gz"]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise SourceError(
            f"{folder} has no {name} (or {name}.gz); expected the files of the H&M competition: "
            f"{ARTICLES}, {TRANSACTIONS}, images/"
        )
    frame = files.read_table(path)
    missing = [column for column in required if column not in frame]
    if missing:
        raise SourceError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    return frame


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column, or nulls where the file has been cut down."""
    return frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)


def _items(articles: pd.DataFrame, images: Path) -> pd.DataFrame:
    item_ids = articles[ARTICLE_ID]
    present = [name for name in ATTRIBUTE_NAMES if name in articles]
    items = pd.DataFrame(
        {
            tables.ITEM_ID: item_ids,
            tables.TITLE: articles["prod_name"],
            tables.DESCRIPTION: _column(articles, "detail_desc"),
            tables.CATEGORY: _path(articles),
            tables.ATTRIBUTES: raw.attributes(articles, present, None),
            tables.IMAGE_PATH: _photos(item_ids, images),
            tables.DOMAIN: _domain(articles),
            tables.SOURCE: NAME,
        }
    )
    return _with_unreadable(items, articles)


def _events(lines: pd.DataFrame) -> pd.DataFrame:
    events = pd.DataFrame(
        {
            tables.USER_ID: lines["customer_id"],
            tables.ITEM_ID: lines[ARTICLE_ID],
            tables.EVENT_TYPE: tables.PURCHASE,
            tables.EVENT_TIMESTAMP: moments(lines["t_dat"], where=f"'t_dat' of {TRANSACTIONS}"),
            tables.QUANTITY: 1.0,
            tables.UNIT_PRICE: _column(lines, "price"),
            tables.SOURCE: NAME,
        }
    )
    return _with_unreadable(events, lines)


def _with_unreadable(canonical: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    if UNREADABLE not in frame:
        return canonical
    return canonical.assign(**{UNREADABLE: frame[UNREADABLE]})


def _path(articles: pd.DataFrame) -> pd.Series:
    levels = [_column(articles, name).tolist() for name in LEVELS]
    paths = [
        raw.CATEGORY_SEPARATOR.join(level for level in row if isinstance(level, str)) or None
        for row in zip(*levels, strict=True)
    ]
    return pd.Series(paths, index=articles.index, dtype=object)


def _domain(articles: pd.DataFrame) -> pd.Series:
    home = _column(articles, "product_group_name").isin(HOME_GROUPS)
    for name in HOME_PLACES:
        places = _column(articles, name).astype("string")
        home |= places.str.contains(r"\bhome\b", case=False, regex=True).fillna(False).astype(bool)
    return pd.Series(CLOTHING, index=articles.index, dtype=object).mask(home, HOME)


def _photos(item_ids: pd.Series, images: Path) -> pd.Series:
    """``images/0XX/0XXXXXXXXX.jpg`` of ids padded to ten digits, null where there is none."""
    folders = [path for path in images.iterdir() if path.is_dir()] if images.is_dir() else []
    found = {path.stem: str(path) for inner in folders for path in inner.glob("*.jpg")}
    paths = item_ids.astype("string").str.zfill(10).map(found)
    return paths.astype(object).where(paths.notna(), None)

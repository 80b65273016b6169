"""What an encoder learns from: listings and photos, which domain they are of, and who judges.

A label is a category at its deepest level with five examples. A pair is a listing's photo and its
title. Titles name categories in words, so what learns from pairs is not without supervision.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.splits import HOME_DOMAIN
from coldstart_models.errors import NotEnoughData
from coldstart_models.retrieval import category_labels
from feature_repo.catalogs import files, table
from feature_repo.encoders.content import UnreadablePhoto, listing_text, open_photo
from feature_repo.home import Home
from validation import tables
from validation.whole_files import file_hash

log = logging.getLogger(__name__)

ENOUGH: Final = 40
"""Examples to learn from below which nothing is learned."""
PHOTO_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
UNLABELLED: Final = -1


@dataclass(frozen=True, slots=True)
class Examples:
    """N listings or photos, in ascending order of their ids."""

    ids: npt.NDArray[np.object_]
    photos: tuple[Path | None, ...]
    texts: tuple[str | None, ...]
    """Title and description as encoders read them."""
    titles: tuple[str | None, ...]
    categories: tuple[str | None, ...]
    """Paths, ``A > B > C``."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def with_photo(self) -> BoolArray:
        """(N,)"""
        return np.array([photo is not None for photo in self.photos], bool)

    @property
    def with_text(self) -> BoolArray:
        """(N,)"""
        return np.array([text is not None for text in self.texts], bool)

    def take(self, rows: IntArray) -> "Examples":
        """Some of them, in the order given."""
        return Examples(
            self.ids[rows],
            *(
                tuple(values[row] for row in rows)
                for values in (self.photos, self.texts, self.titles, self.categories)
            ),
        )

    def then(self, others: "Examples") -> "Examples":
        """These and then others."""
        return Examples(
            np.concatenate([self.ids, others.ids]),
            self.photos + others.photos,
            self.texts + others.texts,
            self.titles + others.titles,
            self.categories + others.categories,
        )

    def digest(self) -> str:
        """Hash of all their contents, photos byte by byte."""
        columns = self.ids, self._photo_hashes(), self.texts, self.titles, self.categories
        return digest(*(repr(one) for one in zip(*columns, strict=True)))

    def _photo_hashes(self) -> list[str]:
        """N; empty where there is no photo."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda path: file_hash(path) if path else "", self.photos))

    def groups(self, *, by_text: bool = False) -> IntArray:
        """(N,) numbers of what is one thing: the same id, or byte for byte the same photo.

        Args:
            by_text: whether the same text is one thing as well.
        """
        rows, firsts = np.arange(len(self)), []
        columns = [self._photo_hashes(), *([self.texts] if by_text else [])]
        told = [[one or f"row {row}" for row, one in enumerate(column)] for column in columns]
        for column in (self.ids.tolist(), *told):
            names = np.array(column, str)
            _, first, number = np.unique(names, return_index=True, return_inverse=True)
            firsts.append(first[number])  # the first row that says the same
        edges = np.tile(rows, len(firsts)), np.concatenate(firsts)
        joined = sparse.coo_array((np.ones(edges[0].size), edges), (len(self),) * 2)
        return np.asarray(connected_components(joined, directed=False)[1], np.int64)

    def labels(self, known: IntArray) -> IntArray:
        """(N,) numbers of the categories, told apart by what the known rows alone have.

        UNLABELLED where none of an example's levels has five known examples.
        """
        of_known = category_labels([self.categories[row] for row in known])
        names = sorted({name for name in of_known if name is not None})
        number = {name: place for place, name in enumerate(names)}
        paths = [tuple(tables.category_levels(category)) for category in self.categories]
        return np.array(
            [
                next(
                    (number[path[:n]] for n in range(len(path), 0, -1) if path[:n] in number),
                    UNLABELLED,
                )
                for path in paths
            ],
            np.int64,
        )


def digest(*parts: Any) -> str:
    """sha256 of the parts, each with its length."""
    found = sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()


def of_home(home: Home) -> tuple[Examples, Examples | None]:
    """The ingested catalogue, and what of it is another domain.

    Where items of the domain ``home`` stand beside others, the others are the source; what names no
    domain is ranked beside ``home``, and counts as it. Raises NotEnoughData where nothing was
    ingested.
    """
    if not home.items.exists():
        raise NotEnoughData(f"no catalogue at {home.items}; run `coldstart ingest SOURCE` first")
    frame = pq.read_table(home.items).to_pandas()
    at_home = frame[tables.DOMAIN] == HOME_DOMAIN
    of_target = at_home | frame[tables.DOMAIN].isna()
    if of_target.all() or not at_home.any():
        return of_frame(frame), None
    return of_frame(frame[of_target]), of_frame(frame[~of_target])


def of_folder(folder: Path) -> Examples:
    """A folder of photos: one folder a class, or an items file with the photos beside it.

    The items file is what ``coldstart ingest table:DIR`` reads. Raises NotEnoughData for neither.
    """
    if not folder.is_dir():
        raise NotEnoughData(f"there is no folder {folder}")
    if files.find_table(folder, table.ITEM_FILES, named=None) is not None:
        (frame,) = table.parts(folder, rows=None).items
        return _readable(of_frame(frame), folder)
    found = sorted(
        path
        for path in folder.glob("*/*")
        if path.suffix.lower() in PHOTO_ENDINGS and not path.name.startswith(".")
    )
    if not found:
        raise NotEnoughData(
            f"{folder} has neither folders of photos, one a class, nor an items file "
            f"(items{', items'.join(files.ENDINGS)})"
        )
    nothing = (None,) * len(found)
    ids = np.array([path.relative_to(folder).as_posix() for path in found], object)
    categories = tuple(path.parent.name for path in found)
    return _readable(Examples(ids, tuple(found), nothing, nothing, categories), folder)


def _readable(found: Examples, folder: Path) -> Examples:
    """The same without photos that cannot be read, which is told: no gate has seen the folder."""
    paths = [path for path in found.photos if path is not None]
    with ThreadPoolExecutor() as pool:
        told = dict(zip(paths, pool.map(_refused, paths), strict=True))
    refused = [reason for reason in told.values() if reason is not None]
    if refused:
        log.warning(
            "%d of %d photos in %s cannot be read and are left out; the first: %s",
            *(len(refused), len(paths), folder, refused[0]),
        )
    photos = tuple(path if path and told[path] is None else None for path in found.photos)
    return replace(found, photos=photos)


def _refused(path: Path) -> str | None:
    """Why a photo cannot be read."""
    try:
        open_photo(path).close()
    except UnreadablePhoto as error:
        return str(error)
    return None


def of_frame(items: pd.DataFrame) -> Examples:
    """Canonical items; a photo that is no longer there is none."""
    frame = items.sort_values(tables.ITEM_ID).reset_index(drop=True)
    columns = [
        frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)
        for name in (tables.IMAGE_PATH, tables.TITLE, tables.DESCRIPTION, tables.CATEGORY)
    ]
    paths, titles, descriptions, categories = ([_text(one) for one in column] for column in columns)
    photos = [Path(path) if path is not None else None for path in paths]
    return Examples(
        ids=frame[tables.ITEM_ID].to_numpy(dtype=object),
        photos=tuple(photo if photo and photo.is_file() else None for photo in photos),
        texts=tuple(map(listing_text, titles, descriptions)),
        titles=tuple(titles),
        categories=tuple(categories),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of the examples, each in one part, every part ascending."""

    learn: IntArray
    validate: IntArray
    """They say when to stop, and whether the result is kept."""
    hold: IntArray
    """They are neither learned from nor chosen by: before and after is told of them."""

    def after(self, count: int) -> "Cut":
        """The same of rows that stand behind so many others."""
        return Cut(self.learn + count, self.validate + count, self.hold + count)


def cut(
    rows: Sequence[int] | IntArray,
    *,
    validate: float,
    hold: float,
    seed: int,
    groups: IntArray | None = None,
) -> Cut:
    """Items at random into the three parts. Raises NotEnoughData for too few to learn from.

    Args:
        groups: (N,) of every row; those of a group come into one part.
    """
    order = np.random.default_rng(seed).permutation(np.asarray(rows, np.int64))
    held = round(hold * len(order))
    borders = [held, held + round(validate * len(order))]
    if groups is not None:
        _, first, number = np.unique(groups[order], return_index=True, return_inverse=True)
        place = first[number]  # of each row's group
        together = np.argsort(place, kind="stable")
        order, place = order[together], place[together]
        ends = np.append(np.flatnonzero(np.diff(place)) + 1, len(order))
        borders = [int(ends[np.searchsorted(ends, at)]) if at else 0 for at in borders]
    parts = np.split(order, borders)
    if len(parts[2]) < ENOUGH:
        raise NotEnoughData(
            f"{len(order)} examples leave {len(parts[2])} to learn from; {ENOUGH} are needed"
        )
    return Cut(learn=np.sort(parts[2]), validate=np.sort(parts[1]), hold=np.sort(parts[0]))

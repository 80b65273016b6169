"""What a listing says, in parts that it may come without: the columns of each in the inputs."""

from dataclasses import dataclass
from typing import Final

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.inputs import (
    ATTRIBUTES,
    PHOTO,
    PRICE_BINS,
    SPELLING,
    TEXT,
    WORDS,
    Featurizer,
    ItemInputs,
    unit_rows,
)

PHOTOS: Final = "photo"
TEXTS: Final = "text"
CATEGORY: Final = "category and attributes"
PRICE: Final = "price"


@dataclass(frozen=True, slots=True)
class Columns:
    """Neighbouring columns of one modality."""

    modality: str
    start: int
    stop: int


Part = tuple[Columns, ...]


def listing_parts(featurizer: Featurizer, inputs: ItemInputs) -> dict[str, Part]:
    """Name → columns, of the parts that these inputs have.

    Category and attributes stand before the price level in one modality.
    """
    widths = {name: values.shape[1] for name, values in inputs.values.items()}
    end = widths.get(ATTRIBUTES, 0)
    priced = end - PRICE_BINS if end and featurizer.price_range is not None else end
    found = {
        PHOTOS: _whole(widths, PHOTO),
        TEXTS: _whole(widths, TEXT, WORDS, SPELLING),
        CATEGORY: (Columns(ATTRIBUTES, 0, priced),) if priced else (),
        PRICE: (Columns(ATTRIBUTES, priced, end),) if priced < end else (),
    }
    return {name: part for name, part in found.items() if part}


def _whole(widths: dict[str, int], *names: str) -> Part:
    return tuple(Columns(name, 0, widths[name]) for name in names if name in widths)


def blank(inputs: ItemInputs, part: Part, candidates: IntArray) -> ItemInputs:
    """The inputs of candidates that come without these columns.

    What is left of category, attributes and price is a unit row, as it is for a listing that never
    had the rest; a modality of which nothing is left is missing.
    """
    values, present = dict(inputs.values), dict(inputs.present)
    for columns in part:
        name = columns.modality
        rows = values[name][candidates]
        rows[:, columns.start : columns.stop] = 0.0
        values[name], present[name] = values[name].copy(), present[name].copy()
        values[name][candidates] = unit_rows(rows) if name == ATTRIBUTES else rows
        present[name][candidates] &= rows.any(axis=1)
    return ItemInputs(values, present)

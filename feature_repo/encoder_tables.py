"""One table an encoder, one pointer a modality: spaces are never mixed, a switch is one step.

What Feast and every reader find at ``features/VIEW.parquet`` holds the rows of one encoder, the
served one. The rows of others stand beside it, in ``features/VIEW/HASH.parquet``. A switch makes
``features/VIEW.parquet`` a link to another of these files, by one atomic rename; before the
first switch it is an ordinary file. ADR 0005 says why.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.errors import StoreError
from feature_repo.feature_tables import (
    CREATED_TIMESTAMP,
    ENCODER,
    ENCODER_HASH,
    FEATURE_TABLES,
    ITEM_IMAGE_EMBEDDING,
    ITEM_TEXT_EMBEDDING,
    FeatureTable,
)
from feature_repo.home import Home
from validation import tables
from validation.whole_files import replacing

EMBEDDING_TABLES: Final[dict[Modality, FeatureTable]] = {
    Modality.IMAGE: ITEM_IMAGE_EMBEDDING,
    Modality.TEXT: ITEM_TEXT_EMBEDDING,
}
EMBEDDING_VIEWS: Final = frozenset(table.name for table in EMBEDDING_TABLES.values())


@dataclass(frozen=True, slots=True)
class EncoderRecord:
    """An encoder that filled rows of this state, and how to load it again."""

    name: str
    """As `load_encoder` takes it."""
    id: str
    hash: str
    modality: Modality
    width: int
    licence: str

    @property
    def view(self) -> str:
        return EMBEDDING_TABLES[self.modality].name


def served_hash(home: Home, view: str) -> str | None:
    """The encoder whose rows are served; None where there are none yet.

    Raises StoreError where a table from elsewhere mixes encoders.
    """
    path = home.feature_table(view)
    if path.is_symlink():
        return Path(os.readlink(path)).stem
    return require_one_encoder(path)


def held_hashes(path: Path) -> dict[str, int]:
    """Hash → rows of an embedding table; empty without the file."""
    if not path.exists():
        return {}
    counts = pc.value_counts(pq.read_table(path, columns=[ENCODER_HASH])[ENCODER_HASH])
    return {str(count["values"]): count["counts"] for count in counts.to_pylist()}


def require_one_encoder(path: Path) -> str | None:
    """The hash of all rows of an embedding table; None of no rows. Raises StoreError of several."""
    hashes = held_hashes(path)
    if len(hashes) > 1:
        told = ", ".join(f"{count} of {name[:12]}" for name, count in sorted(hashes.items()))
        raise StoreError(
            f"{path} mixes the rows of {len(hashes)} encoders ({told}), which cannot be compared; "
            "run `coldstart extract` with --image-encoder or --text-encoder for all items"
        )
    return next(iter(hashes), None)


def encoder_table(home: Home, view: str, encoder_hash: str) -> Path:
    """Where the rows of an encoder are and belong: served, if it serves or nothing does yet.

    A table that mixes encoders goes to whoever extracts next. Ask under the view's lock: a switch
    changes the answer.
    """
    path = home.feature_table(view)
    if path.is_symlink():
        return home.encoder_table(view, encoder_hash)
    hashes = held_hashes(path)
    beside = len(hashes) == 1 and encoder_hash not in hashes
    return home.encoder_table(view, encoder_hash) if beside else path


def is_served(home: Home, view: str, encoder_hash: str) -> bool:
    """Whether an encoder's rows are what readers of the view find."""
    served = home.feature_table(view)
    return encoder_table(home, view, encoder_hash).resolve() == served.resolve()


def served_rows(rows: pa.Table, *, home: Home, view: str) -> pa.Table:
    """Of rows that belong to a view, those that its readers find: another encoder's do not."""
    if view not in EMBEDDING_VIEWS:
        return rows
    hashes = pc.unique(rows[ENCODER_HASH]).to_pylist()
    served = [digest for digest in hashes if is_served(home, view, digest)]
    return rows.filter(pc.is_in(rows[ENCODER_HASH], pa.array(served, pa.string())))


def unserved_rows(home: Home, view: str) -> pa.Table:
    """A row of nulls for each key that only encoders beside the served one have rows of."""
    table = FEATURE_TABLES[view]
    files = sorted((home.features / view).glob("*.parquet")) if view in EMBEDDING_VIEWS else []
    if not files:
        return table.schema.empty_table()
    moments = (tables.EVENT_TIMESTAMP, CREATED_TIMESTAMP)
    rows = pa.concat_tables([pq.read_table(path, columns=[table.key, *moments]) for path in files])
    known = pq.read_table(home.feature_table(view), columns=[table.key])[table.key]
    newest = (
        rows.filter(pc.invert(pc.is_in(rows[table.key], known)))
        .group_by(table.key)
        .aggregate([(moment, "max") for moment in moments])
        .select([table.key, *(f"{moment}_max" for moment in moments)])
        .rename_columns([table.key, *moments])
    )
    return pa.table(
        {
            field.name: newest[field.name]
            if field.name in newest.column_names
            else pa.nulls(newest.num_rows, field.type)
            for field in table.schema
        },
        schema=table.schema,
    )


def point_at(home: Home, view: str, encoder_hash: str) -> None:
    """Serve another encoder's rows, whose table must be there. Hold the view's lock.

    Readers see the old rows or the new ones, whole, also where the process dies.
    """
    path, new = home.feature_table(view), home.encoder_table(view, encoder_hash)
    if not new.exists():
        raise StoreError(f"there are no rows of encoder {encoder_hash[:12]} at {new}")
    if not path.is_symlink() and (old := served_hash(home, view)) is not None:
        with replacing(home.encoder_table(view, old)) as kept:
            os.link(path, kept)
    link = path.with_name(f".{path.name}.{os.getpid()}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(new.relative_to(path.parent))
    os.replace(link, path)


def keep_record(home: Home, encoder: Encoder, *, name: str) -> None:
    """Remember how an encoder whose rows are about to be written was loaded."""
    record = EncoderRecord(
        name, encoder.id, encoder.hash, encoder.modality, encoder.width, encoder.licence
    )
    with replacing(home.encoder_record(record.view, record.hash)) as partial:
        partial.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def encoder_records(home: Home, modality: Modality) -> list[EncoderRecord]:
    """Encoders that filled rows of this state, by name; one without a record has its id as name."""
    view = EMBEDDING_TABLES[modality].name
    found = {}
    for path in (home.features / view).glob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        found[values["hash"]] = EncoderRecord(**{**values, "modality": modality})
    for path in (home.feature_table(view), *(home.features / view).glob("*.parquet")):
        if path.exists() and path.stem not in found:
            columns = pq.read_table(path, columns=[ENCODER, ENCODER_HASH]).to_pydict().values()
            for name, digest in set(zip(*columns, strict=True)):
                unnamed = EncoderRecord(name, name, digest, modality, 0, "not recorded")
                found.setdefault(digest, unnamed)
    return sorted(found.values(), key=lambda record: (record.name, record.hash))


def served_record(home: Home, modality: Modality) -> EncoderRecord | None:
    """The encoder that serves a modality; None where there are no rows yet."""
    served = served_hash(home, EMBEDDING_TABLES[modality].name)
    records = encoder_records(home, modality)
    return next((record for record in records if record.hash == served), None)

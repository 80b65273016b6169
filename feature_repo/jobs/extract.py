"""Encode the catalogue's photos and texts: resumable, and only what changed.

An item is skipped where its content's hash and the encoder's hash are those of its row. A
photo that cannot be read goes to quarantine; the item then has no row, which says that its
photo is unknown. Every batch is written at once, so that a killed job goes on where it was.
An encoder other than the one that serves fills a table of its own beside that one's.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.encoder_tables import (
    EMBEDDING_TABLES,
    encoder_table,
    is_served,
    keep_record,
    served_record,
)
from feature_repo.encoders.encoder import Encoder, Modality
from feature_repo.encoders.registry import (
    EFFICIENTNET_LITE0,
    MINILM,
    lasting_name,
    load_encoder,
)
from feature_repo.errors import EncoderError, JobError
from feature_repo.feature_tables import (
    CONTENT_HASH,
    ENCODER_HASH,
    FeatureTable,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs.contents import Content, Refusal, contents_of, prepared
from feature_repo.jobs.parts import Parts, embedding_rows
from feature_repo.jobs.photo_text import check_photos_and_texts
from feature_repo.jobs.refusals import Judged, judged, quarantine_folder, quarantine_refused
from feature_repo.lineage import file_input, keep_lineage
from feature_repo.offline_tables import locked, read_file
from validation import tables

if TYPE_CHECKING:
    from validation.result import GateResult

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

DECODERS: Final = 4
"""Threads that decode photos while the model runs; Pillow releases the interpreter's lock."""
AHEAD: Final = 2
"""Batches prepared in advance."""
DEFAULTS: Final = {Modality.IMAGE: EFFICIENTNET_LITE0, Modality.TEXT: MINILM}


@dataclass(frozen=True, slots=True)
class ModalityResult:
    """What was done for one modality; the counts are of items."""

    encoder: str
    encoder_hash: str
    encoded: int
    skipped: int
    """Unchanged, by content hash and encoder hash."""
    quarantined: int
    """Photos that could not be read, and vectors that say nothing."""
    absent: int
    """Without a photo (or text): masked."""
    removed: int
    """Rows dropped: the item, its photo or its text is gone or unreadable."""
    unusual: int = 0
    """New vectors far from the catalogue's; they are kept."""
    notes: tuple[str, ...] = ()
    """What the gate says of the new vectors as a whole."""
    serves: bool = True
    """Whether these rows are what the store serves, or stand beside another encoder's."""


@dataclass(frozen=True, slots=True)
class ExtractResult:
    """What an extraction did."""

    modalities: dict[str, ModalityResult]
    seconds: float
    pairs: "GateResult | None" = None
    """Whether photos and texts agree; None where nothing changed or too few have both."""

    @property
    def encoded(self) -> int:
        return sum(result.encoded for result in self.modalities.values())

    @property
    def skipped(self) -> int:
        return sum(result.skipped for result in self.modalities.values())

    @property
    def quarantined(self) -> int:
        return sum(result.quarantined for result in self.modalities.values())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: totals, then by modality."""
        return {
            "encoded": self.encoded,
            "skipped": self.skipped,
            "quarantined": self.quarantined,
            "seconds": round(self.seconds, 3),
            "disagreeing": len(self.pairs.warnings) if self.pairs is not None else None,
            **{name: asdict(result) for name, result in self.modalities.items()},
        }


def extract(
    *,
    home: Home,
    now: datetime,
    image_encoder: str | Encoder | None = EFFICIENTNET_LITE0,
    text_encoder: str | Encoder | None = MINILM,
    batch_size: int = 64,
    item_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> ExtractResult:
    """Bring both embedding tables up to date with the catalogue.

    Args:
        image_encoder: a name for `load_encoder`, an encoder, or None to leave photos alone.
        text_encoder: likewise.
        item_ids: only these items; other rows are left as they are.

    Raises:
        JobError: nothing was ingested.
        EncoderError: an encoder cannot be loaded, or is of the other modality.
    """
    if not home.items.exists():
        raise JobError(f"there is no catalogue {home.items}; run `coldstart ingest SOURCE` first")
    began = time.perf_counter()
    items = pq.read_table(home.items, schema=tables.ITEMS.schema).to_pandas()
    results = {}
    for modality, named in ((Modality.IMAGE, image_encoder), (Modality.TEXT, text_encoder)):
        if named is not None:
            encoder = _loaded(named, modality)
            name = lasting_name(named) if isinstance(named, str) else encoder.id
            keep_record(home, encoder, name=name)
            job = _Extraction(home, items, encoder, now, batch_size)
            results[str(modality)] = job.run(item_ids, progress)
            if results[str(modality)].serves:
                read = {tables.ITEMS.name: file_input(home.items)}
                view = EMBEDDING_TABLES[modality].name
                keep_lineage(home, view, made_by="extract", inputs=read, now=now)
    changed = any(one.serves and (one.encoded or one.removed) for one in results.values())
    pairs = None
    if changed and len(results) == len(Modality):
        pairs = check_photos_and_texts(home, now=now)
    return ExtractResult(results, time.perf_counter() - began, pairs)


def encode_items(
    items: pd.DataFrame, *, encoder: Encoder, now: datetime
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Rows of the encoder's embedding table for a few items, as `Store.push` takes them.

    Items without the modality have no row; photos that cannot be read are returned beside.
    """
    with ThreadPoolExecutor(DECODERS) as pool:
        contents, missing = contents_of(items, modality=encoder.modality, pool=pool)
        readable, inputs, refused = prepared(contents, encoder=encoder, pool=pool)
    rows = embedding_rows(
        readable,
        encoder.forward(inputs),
        encoder=encoder,
        table=EMBEDDING_TABLES[encoder.modality],
        now=now,
    )
    return rows.to_pandas(), [*missing, *refused]


def serving_name(home: Home, modality: Modality) -> str:
    """The encoder that serves, as `load_encoder` takes it, or the default where none does yet."""
    record = served_record(home, modality)
    return record.name if record else DEFAULTS[modality]


def _loaded(named: str | Encoder, modality: Modality) -> Encoder:
    encoder = load_encoder(named) if isinstance(named, str) else named
    if encoder.modality is not modality:
        raise EncoderError(
            f"{encoder.id!r} encodes {encoder.modality}s and was given for {modality}s"
        )
    return encoder


def _refused_too(refusal: Refusal, content: Content) -> Refusal:
    """The refusal of another item with the same content."""
    reason = refusal.reason.replace(refusal.value, content.value)
    return replace(
        refusal,
        item_id=content.item_id,
        value=content.value,
        source=content.source,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class _Extraction:
    """One modality of the catalogue."""

    home: Home
    items: pd.DataFrame
    encoder: Encoder
    now: datetime
    batch_size: int

    @property
    def _path(self) -> Path:
        """Where the encoder's rows are now; a switch of encoders moves them."""
        return encoder_table(self.home, self.table.name, self.encoder.hash)

    @property
    def table(self) -> FeatureTable:
        return EMBEDDING_TABLES[self.encoder.modality]

    def run(self, item_ids: Sequence[str] | None, progress: Progress | None) -> ModalityResult:
        parts = Parts(self.home, self.table, encoder_hash=self.encoder.hash)
        with locked(parts.folder):
            return self._run(parts, item_ids, progress)

    def _run(
        self, parts: Parts, item_ids: Sequence[str] | None, progress: Progress | None
    ) -> ModalityResult:
        chosen = self.items
        if item_ids is not None:
            chosen = chosen[chosen[tables.ITEM_ID].isin(set(item_ids))]
        with ThreadPoolExecutor(DECODERS) as pool:
            contents, missing = contents_of(chosen, modality=self.encoder.modality, pool=pool)
            known = self._known(pa.concat_tables([self._stored(), parts.read()]))
            todo = [content for content in contents if (content.item_id, content.hash) not in known]
            unreadable = self._encode(todo, parts=parts, pool=pool, progress=progress)
        refused = [*missing, *unreadable]
        removed, verdict = self._merge(contents, refused, parts, everything=item_ids is None)
        refused += verdict.refused
        quarantine_refused(
            refused,
            folder=quarantine_folder(self.home, self.table.name, self.encoder.hash),
            table=self.table.name,
            checked=item_ids,
            now=self.now,
        )
        attempted = {content.item_id for content in todo}
        result = ModalityResult(
            encoder=self.encoder.id,
            encoder_hash=self.encoder.hash,
            encoded=len(attempted - {refusal.item_id for refusal in refused}),
            skipped=len(contents) - len(todo),
            quarantined=len(refused),
            absent=len(chosen) - len(contents) - len(missing),
            removed=removed,
            unusual=verdict.unusual,
            notes=verdict.notes,
            serves=is_served(self.home, self.table.name, self.encoder.hash),
        )
        log.info("extracted %s: %s", self.table.name, result)
        return result

    def _stored(self) -> pa.Table:
        return read_file(self._path, self.table)

    def _known(self, rows: pa.Table) -> set[tuple[str, str]]:
        """(item, content hash) of rows that this encoder made."""
        ours = rows.filter(pc.equal(rows[ENCODER_HASH], self.encoder.hash))
        return set(
            zip(ours[self.table.key].to_pylist(), ours[CONTENT_HASH].to_pylist(), strict=True)
        )

    def _encode(
        self,
        todo: Sequence[Content],
        *,
        parts: Parts,
        pool: ThreadPoolExecutor,
        progress: Progress | None,
    ) -> list[Refusal]:
        """Encode batch by batch, each written before the next; returns what was refused.

        Items with the same photo or text are encoded once.
        """
        sharing: dict[str, list[Content]] = {}
        for content in todo:
            sharing.setdefault(content.hash, []).append(content)
        distinct = [same[0] for same in sharing.values()]
        if self.encoder.modality is Modality.TEXT:
            # Texts of like length pad least.
            distinct.sort(key=lambda content: (len(content.value), content.item_id))
        hash_of = {content.item_id: content.hash for content in distinct}
        refused, done = [], 0
        for readable, inputs, unreadable in self._batches(distinct, pool):
            refusals = [
                _refused_too(refusal, same)
                for refusal in unreadable
                for same in sharing[hash_of[refusal.item_id]]
            ]
            refused += refusals
            everyone = [same for content in readable for same in sharing[content.hash]]
            if readable:
                counts = [len(sharing[content.hash]) for content in readable]
                vectors = np.repeat(self.encoder.forward(inputs), counts, axis=0)
                parts.add(
                    embedding_rows(
                        everyone, vectors, encoder=self.encoder, table=self.table, now=self.now
                    )
                )
            done += len(everyone) + len(refusals)
            if progress:
                progress(done, len(todo))
        return refused

    def _batches(
        self, todo: Sequence[Content], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Content], list[Any], list[Refusal]]]:
        """Prepared batches; the next ones are decoded while the caller runs the model."""
        waiting: deque[Future[tuple[list[Content], list[Any], list[Refusal]]]] = deque()
        with ThreadPoolExecutor(1) as conductor:
            for first in range(0, len(todo), self.batch_size):
                batch = todo[first : first + self.batch_size]
                waiting.append(conductor.submit(prepared, batch, encoder=self.encoder, pool=pool))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _merge(
        self,
        contents: Sequence[Content],
        refused: Sequence[Refusal],
        parts: Parts,
        *,
        everything: bool,
    ) -> tuple[int, Judged]:
        """Make the table hold exactly the current contents; returns rows dropped and the verdict.

        This encoder's rows of items outside an extraction of some items stay while the catalogue
        has them.
        """
        wanted = {content.item_id: (content.hash, self.encoder.hash) for content in contents}
        unreadable = {refusal.item_id for refusal in refused}
        others = set() if everything else set(self.items[tables.ITEM_ID]) - set(wanted)
        with locked(self.home.feature_table(self.table.name)):
            path = self._path
            stored, new = self._stored(), parts.read()
            verdict = judged(new, stored, encoder=self.encoder, now=self.now)
            unreadable |= {refusal.item_id for refusal in verdict.refused}
            rows = pa.concat_tables([new, stored])
            names = (self.table.key, CONTENT_HASH, ENCODER_HASH)
            kept: dict[str, int] = {}
            for index, (item_id, *hashes) in enumerate(
                zip(*(rows[name].to_pylist() for name in names), strict=True)
            ):
                stays = item_id in others and hashes[1] == self.encoder.hash
                if (stays or wanted.get(item_id) == tuple(hashes)) and item_id not in unreadable:
                    kept.setdefault(item_id, index)
            before = stored[self.table.key].to_pylist()
            if new.num_rows or before != list(kept) or not path.exists():
                merged = rows.take(pa.array(list(kept.values()), type=pa.int64()))
                write_table(merged.sort_by(self.table.key), path)
            parts.clear()
        return len(set(before) - set(kept)), verdict

"""Encode the catalogue's photos and texts: resumable, and only what changed.

An item is skipped where its content's hash and the encoder's hash are those of its row. A
photo that cannot be read goes to quarantine; the item then has no row, which says that its
photo is unknown. Every batch is written at once, so that a killed job goes on where it was.
An encoder other than the one that serves fills a table of its own beside that one's.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
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
from feature_repo.feature_tables import FeatureTable
from feature_repo.home import Home
from feature_repo.jobs.batches import Batch, Given, batches_of
from feature_repo.jobs.contents import ITEMS_AT_ONCE, Refusal, contents_of
from feature_repo.jobs.head_start import HeadStart, with_head_start
from feature_repo.jobs.judging import Judging
from feature_repo.jobs.merging import plan, write
from feature_repo.jobs.opening import photo_workers, tell
from feature_repo.jobs.parts import Parts
from feature_repo.jobs.photo_text import check_photos_and_texts
from feature_repo.jobs.photo_workers import PhotoWorkers
from feature_repo.jobs.pipeline import decoders, short_turns
from feature_repo.jobs.refusals import quarantine_folder, quarantine_refused
from feature_repo.jobs.worklist import Contents, Worklist, grouped, work_of, write_contents
from feature_repo.lineage import file_input, keep_lineage
from feature_repo.offline_tables import locked
from validation import tables

if TYPE_CHECKING:
    from feature_repo.jobs.ray_engine import RayCluster
    from validation.summary import Summary

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

HASHERS: Final = 4
"""Threads that hash photo files: of small ones more only wait for each other."""
DEFAULTS: Final = {Modality.IMAGE: EFFICIENTNET_LITE0, Modality.TEXT: MINILM}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long encoding took, in seconds."""

    batches: int = 0
    from_first_to_last: float = 0.0
    """From when the first batch was done until all were written."""
    in_model: float = 0.0
    """Of all batches but the first, added up over all workers."""


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
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class ExtractResult:
    """What an extraction did."""

    modalities: dict[str, ModalityResult]
    seconds: float
    pairs: "Summary | None" = None
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
            "disagreeing": self.pairs.warnings if self.pairs is not None else None,
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
    precision: str | None = None,
    compiled: bool = False,
    cluster: "RayCluster | None" = None,
    decoders: int = 0,
) -> ExtractResult:
    """Bring both embedding tables up to date with the catalogue.

    Args:
        image_encoder: a name for `load_encoder`, an encoder, or None to leave photos alone.
        text_encoder: likewise.
        item_ids: only these items; other rows are left as they are.
        precision: as `load_encoder` takes it, of encoders that are named.
        compiled: likewise.
        cluster: encode on Ray instead of in this process.
        decoders: processes that read and decode photos; 0 for threads of this one, which on a GPU
            leave the decoding to it where it can.

    Raises:
        JobError: nothing was ingested.
        EncoderError: an encoder cannot be loaded, or is of the other modality.
    """
    if not home.items.exists():
        raise JobError(f"there is no catalogue {home.items}; run `coldstart ingest SOURCE` first")
    began = time.perf_counter()
    results = {}
    # They import what they need while the encoders are loaded.
    with photo_workers(decoders if image_encoder is not None else 0) as workers:
        # Both before the first is used, for hours maybe: one that is misspelt is told at once.
        encoders = [
            (named, _loaded(named, modality, precision=precision, compiled=compiled))
            for modality, named in ((Modality.IMAGE, image_encoder), (Modality.TEXT, text_encoder))
            if named is not None
        ]
        for named, encoder in encoders:
            modality = encoder.modality
            name = lasting_name(named) if isinstance(named, str) else encoder.id
            keep_record(home, encoder, name=name)
            if workers and modality is Modality.IMAGE:
                tell(workers, encoder, batch=batch_size)
            given = Given(
                name if isinstance(named, str) else encoder, precision=precision, compiled=compiled
            )
            job = _Extraction(home, encoder, now, batch_size, given, cluster, workers)
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
    table = EMBEDDING_TABLES[encoder.modality]
    with ThreadPoolExecutor(decoders()) as pool:
        contents, refused = contents_of(items, modality=encoder.modality, pool=pool)
        work = grouped(contents)
        batches = [work] if work.num_rows else []
        done = list(batches_of(batches, encoder=encoder, pool=pool, now=now))
    rows = [one.rows for one in done]
    found = pa.concat_tables([table.schema.empty_table(), *rows]).to_pandas()
    return found, [*refused, *(refusal for one in done for refusal in one.refused)]


def require_encoders(*, image: str | Encoder | None, text: str | Encoder | None) -> None:
    """Raise EncoderError where one cannot be loaded, or is of the other modality."""
    for modality, named in ((Modality.IMAGE, image), (Modality.TEXT, text)):
        if named is not None:
            _loaded(named, modality, precision=None, compiled=False)


def serving_name(home: Home, modality: Modality) -> str:
    """The encoder that serves, as `load_encoder` takes it, or the default where none does yet."""
    record = served_record(home, modality)
    return record.name if record else DEFAULTS[modality]


def _loaded(
    named: str | Encoder, modality: Modality, *, precision: str | None, compiled: bool
) -> Encoder:
    encoder = (
        load_encoder(named, precision=precision, compiled=compiled)
        if isinstance(named, str)
        else named
    )
    if encoder.modality is not modality:
        raise EncoderError(
            f"{encoder.id!r} encodes {encoder.modality}s and was given for {modality}s"
        )
    return encoder


@dataclass(frozen=True, slots=True)
class _Extraction:
    """One modality of the catalogue."""

    home: Home
    encoder: Encoder
    now: datetime
    batch_size: int
    given: Given
    """The encoder as other processes get it."""
    cluster: "RayCluster | None"
    workers: PhotoWorkers | None
    """Read and decode photos instead of threads."""

    @property
    def _path(self) -> Path:
        """Where the encoder's rows are now; a switch of encoders moves them."""
        return encoder_table(self.home, self.table.name, self.encoder.hash)

    @property
    def table(self) -> FeatureTable:
        return EMBEDDING_TABLES[self.encoder.modality]

    def run(self, item_ids: Sequence[str] | None, progress: Progress | None) -> ModalityResult:
        with locked(self.home.encoder_parts(self.table.name, self.encoder.hash)):
            parts = Parts(self.home, self.table, encoder_hash=self.encoder.hash)
            return self._run(parts, item_ids, progress)

    def _run(
        self, parts: Parts, item_ids: Sequence[str] | None, progress: Progress | None
    ) -> ModalityResult:
        earlier = parts.files()
        contents, head = self._looked_at(parts, item_ids, progress)
        work = work_of(
            contents,
            known=[*parts.files(), *self._stored()],
            table=self.table,
            encoder=self.encoder,
        )
        with (
            ThreadPoolExecutor(decoders()) as pool,
            self._judging(earlier, work, ahead=len(head.items)) as judging,
            short_turns(),
        ):
            batches = self._batches(work, pool)
            unreadable, pace = self._encode(
                batches, work, head, parts=parts, judging=judging, progress=progress
            )
            verdict = judging.verdict()
        refused = [*work.missing, *unreadable, *verdict.refused]
        removed = self._merge(work, refused, parts, item_ids=item_ids)
        unfit = {refusal.item_id for refusal in verdict.refused}
        unsound = work.count(unfit) + len(unfit & head.items)
        parts.clear()
        quarantine_refused(
            refused,
            folder=quarantine_folder(self.home, self.table.name, self.encoder.hash),
            table=self.table.name,
            checked=item_ids,
            now=self.now,
        )
        result = ModalityResult(
            encoder=self.encoder.id,
            encoder_hash=self.encoder.hash,
            encoded=len(head.items) + work.items - len(unreadable) - unsound,
            skipped=work.contents - work.items - len(head.items),
            quarantined=len(refused),
            absent=work.chosen - work.contents - len(work.missing),
            removed=removed,
            unusual=verdict.unusual,
            notes=verdict.notes,
            serves=is_served(self.home, self.table.name, self.encoder.hash),
            pace=pace,
        )
        log.info("extracted %s: %s", self.table.name, result)
        return result

    def _stored(self) -> list[Path]:
        return [self._path] if self._path.exists() else []

    def _looked_at(
        self, parts: Parts, item_ids: Sequence[str] | None, progress: Progress | None
    ) -> tuple[Contents, HeadStart]:
        """The catalogue's contents; of a large one that is new, the first are encoded meanwhile."""
        with ThreadPoolExecutor(HASHERS) as hashers, ThreadPoolExecutor(decoders()) as pool:
            look = partial(
                write_contents,
                self.home.items,
                folder=parts.work,
                modality=self.encoder.modality,
                item_ids=item_ids,
                pool=hashers,
            )
            if (
                self.cluster is not None
                or item_ids is not None
                or parts.files()
                or self._stored()
                or pq.read_metadata(self.home.items).num_rows <= ITEMS_AT_ONCE
            ):
                return look(), HeadStart()

            def encode(work: Iterator[pa.Table]) -> Iterator[Batch]:
                done = 0
                for one in self._here(work, pool):
                    if one.rows.num_rows:
                        parts.add(one.rows)
                    done += one.rows.num_rows
                    if progress:
                        progress(done, ITEMS_AT_ONCE)
                    yield one

            with short_turns():
                return with_head_start(
                    lambda found: look(found=found),
                    encode,
                    table=self.table,
                    modality=self.encoder.modality,
                    batch_size=self.batch_size,
                )

    def _judging(self, earlier: Sequence[Path], work: Worklist, *, ahead: int) -> Judging:
        return Judging(
            earlier,
            work,
            lambda: self._path,
            table=self.table,
            encoder=self.encoder,
            now=self.now,
            lock=self.home.feature_table(self.table.name),
            ahead=ahead,
        )

    def _batches(self, work: Worklist, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        """What becomes of the work, here or on Ray."""
        if self.cluster is not None:
            from feature_repo.jobs.ray_engine import encoded_on_ray

            return encoded_on_ray(
                work,
                self.given,
                width=self.encoder.width,
                cluster=self.cluster,
                now=self.now,
                batch_size=self.batch_size,
            )
        return self._here(work.batches(self.batch_size), pool)

    def _here(self, work: Iterator[pa.Table], pool: ThreadPoolExecutor) -> Iterator[Batch]:
        return batches_of(work, encoder=self.encoder, pool=pool, now=self.now, workers=self.workers)

    def _encode(
        self,
        batches: Iterator[Batch],
        work: Worklist,
        head: HeadStart,
        *,
        parts: Parts,
        judging: Judging,
        progress: Progress | None,
    ) -> tuple[list[Refusal], Pace]:
        """Write each batch before the next is looked at; returns what was refused."""
        refused, done, count = list[Refusal](), len(head.items), len(head.batches)
        seconds, first, of_first, last = 0.0, 0.0, 0.0, 0.0
        for one in head.batches:
            if one.rows.num_rows:
                judging.add(one.rows)
            seconds, last = seconds + one.seconds, one.done_at
            if not first:
                first, of_first = one.done_at, one.seconds
        for one in batches:
            if one.rows.num_rows:
                judging.add(one.rows)
                parts.add(one.rows)
            count, seconds, last = count + 1, seconds + one.seconds, time.time()
            if not first or one.done_at < first:
                first, of_first = one.done_at, one.seconds
            refused += one.refused
            done += one.rows.num_rows + len(one.refused)
            if progress:
                progress(done, len(head.items) + work.items)
        return refused, Pace(count, last - first, seconds - of_first)

    def _merge(
        self,
        work: Worklist,
        refused: Sequence[Refusal],
        parts: Parts,
        *,
        item_ids: Sequence[str] | None,
    ) -> int:
        """Make the table hold exactly the current contents; returns how many rows were dropped.

        This encoder's rows of items outside an extraction of some items stay while the catalogue
        has them.
        """
        with locked(self.home.feature_table(self.table.name)):
            path = self._path
            merge = plan(
                parts=parts.files(),
                stored=path,
                table=self.table,
                encoder_hash=self.encoder.hash,
                work=work,
                catalogue=self.home.items,
                item_ids=item_ids,
                refused={one.item_id for one in refused},
            )
            if merge.changed:
                write(merge, path, table=self.table, folder=work.folder, now=self.now)
        return merge.removed

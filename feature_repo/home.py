"""Where the state lives: one folder, ``COLDSTART_HOME`` or ``feature_repo/data``.

Every path of the product is a property of :class:`Home`; nothing else joins paths to
it. The environment is read when a :class:`Home` is made, never at import.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "COLDSTART_HOME"
REPOSITORY: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Home:
    """The layout of the state folder."""

    root: Path

    @classmethod
    def current(cls) -> "Home":
        """The folder that ``COLDSTART_HOME`` names, or ``data`` inside the feature repository."""
        named = os.environ.get(HOME_VARIABLE)
        return cls(Path(named).expanduser().resolve() if named else REPOSITORY / "data")

    @property
    def items(self) -> Path:
        """Accepted listings of every source (the canonical items table)."""
        return self.root / "catalog" / "items.parquet"

    @property
    def events(self) -> Path:
        """Accepted events of every source (the canonical events table); see `event_log`."""
        return self.root / "catalog" / "events.parquet"

    @property
    def event_segments(self) -> Path:
        """Events that were appended since, in small files."""
        return self.root / "catalog" / "events.d"

    @property
    def event_index(self) -> Path:
        """Where the events of a user, an item or an id are in a large log; a cache."""
        return self.root / "catalog" / "events.index"

    @property
    def sources(self) -> Path:
        """What was ingested, from where, when (JSON)."""
        return self.root / "catalog" / "sources.json"

    @property
    def truth(self) -> Path:
        """The choice model's utilities, where a generated source knows them; for oracles."""
        return self.root / "catalog" / "truth.parquet"

    @property
    def photo_fingerprints(self) -> Path:
        """Perceptual hashes of the accepted listings' photos, for finding copies."""
        return self.root / "catalog" / "photo_fingerprints.parquet"

    @property
    def photos(self) -> Path:
        """Photos that an adapter rendered or unpacked, one folder a source."""
        return self.root / "photos"

    @property
    def sent_photos(self) -> Path:
        """Photos that came within requests, each named by its content."""
        return self.photos / "listings"

    @property
    def quarantine(self) -> Path:
        """Rows the gate held back, one Parquet file a table."""
        return self.root / "quarantine"

    @property
    def gate_results(self) -> Path:
        """What each gate run found (JSON) and Great Expectations' Data Docs."""
        return self.root / "gate"

    @property
    def online_position(self) -> Path:
        """How far of the log the online features reach (JSON)."""
        return self.root / "catalog" / "online_position.json"

    @property
    def listing_changes(self) -> Path:
        """Which listings changed, in order, for every process that serves them."""
        return self.root / "catalog" / "listing_changes.jsonl"

    @property
    def replicas(self) -> Path:
        """What this folder told other state folders of its listings, and heard of theirs."""
        return self.root / "catalog" / "replicas.db"

    @property
    def served(self) -> Path:
        """What was served: a sample with its features, and explored and experiments' pages."""
        return self.root / "served"

    @property
    def erasures(self) -> Path:
        """Who was erased (by salted hash), receipts, and an erasure that is under way."""
        return self.root / "erasures"

    @property
    def cursor_key(self) -> Path:
        """What the tokens of the service's pages are signed with; only its owner may read it."""
        return self.root / "cursor.key"

    @property
    def api_keys(self) -> Path:
        """Who may ask the service for what (TOML, digests of the keys alone)."""
        return self.root / "api_keys.toml"

    def model_vectors(self, tag: str) -> Path:
        """Item vectors of a model that may no longer be the served one, for experiments."""
        return self.root / "model_vectors" / f"{tag.replace(':', '-')}.parquet"

    @property
    def checkpoints(self) -> Path:
        """What a running or stopped training job has reached, one file a stage."""
        return self.root / "checkpoints"

    @property
    def curves(self) -> Path:
        """TensorBoard's files of every training job."""
        return self.root / "curves"

    @property
    def studies(self) -> Path:
        """Journals of what `coldstart tune` tried."""
        return self.root / "studies"

    @property
    def features(self) -> Path:
        """The offline feature tables Feast reads."""
        return self.root / "features"

    def feature_table(self, view: str) -> Path:
        """The Parquet file behind one feature view."""
        return self.features / f"{view}.parquet"

    def encoder_table(self, view: str, encoder_hash: str) -> Path:
        """The rows of one encoder, beside the served one's or served through a link."""
        return self.features / view / f"{encoder_hash}.parquet"

    def encoder_record(self, view: str, encoder_hash: str) -> Path:
        """What is known of an encoder that filled rows of the view (JSON)."""
        return self.features / view / f"{encoder_hash}.json"

    def encoder_parts(self, view: str, encoder_hash: str) -> Path:
        """Rows of one encoder that are not merged into its table yet, one file a batch."""
        return self.features / view / f"{encoder_hash}.parts"

    def vector_snapshots(self, view: str) -> Path:
        """The view's newest vectors as files that are mapped into memory, by version."""
        return self.root / "snapshots" / view

    def lineage(self, view: str) -> Path:
        """Who made the rows of a feature view, from what and when (JSON)."""
        return self.features / "lineage" / f"{view}.json"

    @property
    def feature_maps(self) -> Path:
        """What the frozen part of an encoder that is adapted made of photos; a cache."""
        return self.root / "feature_maps"

    @property
    def encoder_switches(self) -> Path:
        """Which encoder served after which, so that a switch can be taken back (JSON)."""
        return self.features / "encoder_switches.json"

    @property
    def registry(self) -> Path:
        return self.root / "registry.db"

    @property
    def online_store(self) -> Path:
        return self.root / "online_store.db"

    @property
    def models(self) -> Path:
        """The Bento home that holds our models and Bentos."""
        return self.root / "bentoml"

    @property
    def served_model(self) -> Path:
        """Which model to serve, and which before (JSON); see `coldstart_models.served_model`."""
        return self.root / "served_model.json"

    @property
    def started_model(self) -> Path:
        """What a service began to serve last (JSON)."""
        return self.root / "started_model.json"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

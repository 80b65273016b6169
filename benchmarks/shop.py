"""A generated marketplace in a state folder, for benchmarks to run on."""

from datetime import UTC, datetime
from typing import Final

from feature_repo.catalogs import marketplace
from feature_repo.catalogs.marketplace import MarketplaceSize
from feature_repo.home import Home
from feature_repo.jobs.ingest import ingest

AS_OF: Final = datetime(2026, 6, 1, tzinfo=UTC)
SIZE: Final = MarketplaceSize(
    users=200, home_listings=480, source_listings=120, weeks=12, sessions=12.0
)


def ingested(home: Home, *, seed: int = 0, size: MarketplaceSize = SIZE) -> Home:
    """Generate a marketplace (generated data) and put it through the gate into the home."""
    from validation import gate

    data = marketplace.read(photos=home.photos, as_of=AS_OF, seed=seed, size=size)
    ingest(data, home=home, gate=gate, now=AS_OF, spec="marketplace")
    return home

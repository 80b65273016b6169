"""How large a marketplace is generated."""

from dataclasses import dataclass
from typing import Final

from feature_repo.catalogs.source import SourceError


@dataclass(frozen=True, slots=True)
class MarketplaceSize:
    """Counts of everything; the log's length follows from users and sessions."""

    users: int
    home_listings: int
    source_listings: int
    """Clothing, bags and electronics together."""
    weeks: int
    sessions: float
    """Mean visits of a user over all weeks."""

    def __post_init__(self) -> None:
        for name, least in (
            ("users", 1),
            ("home_listings", 2 * self.weeks),
            ("source_listings", 2 * self.weeks),
            ("weeks", 1),
            ("sessions", 1),
        ):
            if getattr(self, name) < least:
                raise SourceError(
                    f"a marketplace of {self.weeks} weeks needs at least {least} {name}, "
                    f"not {getattr(self, name)}"
                )


SIZES: Final = {
    "demo": MarketplaceSize(
        users=1_000, home_listings=1_400, source_listings=600, weeks=26, sessions=12.0
    ),
    "small": MarketplaceSize(
        users=120, home_listings=120, source_listings=60, weeks=8, sessions=10.0
    ),
}


def marketplace_size(name: str) -> MarketplaceSize:
    """A size by name. Raises SourceError with the known names."""
    if name not in SIZES:
        raise SourceError(f"no marketplace size is called {name!r}; known: {', '.join(SIZES)}")
    return SIZES[name]

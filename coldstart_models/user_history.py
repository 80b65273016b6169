"""What a person has chosen."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UserHistory:
    """What a person has chosen, newest last."""

    item_ids: tuple[str, ...]
    event_types: tuple[str, ...]
    timestamps: tuple[datetime, ...]

    def __post_init__(self) -> None:
        if not len(self.item_ids) == len(self.event_types) == len(self.timestamps):
            raise ValueError(
                f"a history has as many ids ({len(self.item_ids)}) as event types "
                f"({len(self.event_types)}) and times ({len(self.timestamps)})"
            )

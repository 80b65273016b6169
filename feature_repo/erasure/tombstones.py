"""Who was erased and when, so that what happened before does not come back.

A person stands here by an HMAC of the id under a salt of the state folder, not by the id. Events
of an erased person that happened up to the erasure are refused wherever they come from: a source
that is ingested again, a queue that delivers late, a quarantine that is sent again. Events that
happened later begin a new life under the id. ADR 0021 says why.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from feature_repo.home import Home
from feature_repo.secret_files import secret
from validation import coercion, tables
from validation.whole_files import replacing

USERS: Final = "users.json"
SALT: Final = "salt"


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The erased people of one state folder."""

    salt: bytes
    erased_at: Mapping[str, datetime]
    """Salted hash → when the person was erased last."""

    @classmethod
    def read(cls, home: Home) -> "Tombstones":
        """Those of the folder; none where nobody was erased."""
        path = home.erasures / USERS
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(b"", {})
        known = {user: datetime.fromisoformat(moment) for user, moment in told.items()}
        return cls((home.erasures / SALT).read_bytes(), known)

    def hash_of(self, user_id: str) -> str:
        """What stands for the id."""
        return hmac.new(self.salt, user_id.encode(), hashlib.sha256).hexdigest()

    def holds(self, user_id: str) -> bool:
        """Whether the person was erased."""
        return bool(self.erased_at) and self.hash_of(user_id) in self.erased_at

    def refused(self, events: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which raw or canonical events happened before their person's erasure.

        An erased person's event without a time that can be read is refused too.
        """
        none = np.zeros(len(events), bool)
        if not self.erased_at or events.empty or tables.USER_ID not in events:
            return none
        users = coercion.texts(events[tables.USER_ID].reset_index(drop=True))[0]
        erased = {
            user: self.erased_at[found]
            for user in users.dropna().unique()
            if (found := self.hash_of(str(user))) in self.erased_at
        }
        theirs = users.isin(list(erased)).to_numpy(bool)
        if not theirs.any():
            return none
        given = events.get(tables.EVENT_TIMESTAMP, pd.Series(None, events.index, dtype=object))
        happened, _ = coercion.moments(given.reset_index(drop=True))
        limits = pd.to_datetime(users.map(erased), utc=True)
        later = (happened > limits).fillna(False).to_numpy(bool)
        return np.asarray(theirs & ~later)

    def admitted(self, events: pa.Table) -> pa.Table:
        """Canonical events without those refused."""
        if not self.erased_at:
            return events
        columns = [tables.USER_ID, tables.EVENT_TIMESTAMP]
        return events.filter(pa.array(~self.refused(events.select(columns).to_pandas())))


def bury(home: Home, user_id: str, *, now: datetime) -> str:
    """Refuse what the person did up to `now` from here on; returns the salted hash."""
    home.erasures.mkdir(parents=True, exist_ok=True, mode=0o700)
    salt = secret(home.erasures / SALT)
    known = Tombstones.read(home)
    named = Tombstones(salt, {}).hash_of(user_id)
    told = {**known.erased_at, named: now.astimezone(UTC)}
    with replacing(home.erasures / USERS, durable=True) as partial:
        moments = {user: moment.isoformat() for user, moment in told.items()}
        partial.write_text(json.dumps(moments, indent=1), encoding="utf-8")
    return named

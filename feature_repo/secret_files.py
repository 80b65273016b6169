"""Random keys of a state folder that only its owner may read."""

import os
import secrets
from pathlib import Path
from typing import Final

BYTES: Final = 32


def secret(path: Path) -> bytes:
    """The key in the file; made where there is none, the same for all who ask at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.link(partial, path)
        except FileExistsError:  # another process was faster: its key holds
            pass
        finally:
            partial.unlink(missing_ok=True)
    return path.read_bytes()

"""No test obeys the environment of whoever runs it, but for what tests ask it themselves."""

import os
from typing import Final

READ_BY_PRODUCT: Final = ("COLDSTART_", "FEAST_", "BENTOML_", "BENTO_PATH", "PG", "WORLD_SIZE")
ASKED_BY_TESTS: Final = {"COLDSTART_SPARK", "BENTOML_DO_NOT_TRACK"}

# At import: fixtures of modules and sessions open stores, and the service reads at its own import.
for _name in list(os.environ):
    if _name.startswith(READ_BY_PRODUCT) and _name not in ASKED_BY_TESTS:
        del os.environ[_name]

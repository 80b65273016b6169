"""Numbers that are usual of long jobs, once for the jobs and for the options of their commands.

The jobs' own modules take too long to import for a `--help`.
"""

from typing import Final

TRIALS: Final = 20
"""Of `tune`."""
TRIAL_SEEDS: Final = 3
"""Models that a trial of `tune` is the mean of."""

NETWORK_SIZE: Final = 64
"""Side of the photos in pixels of `encoders begin`, likewise the next ones."""
NETWORK_EPOCHS: Final = 4
NETWORK_BATCH: Final = 64

EPOCHS: Final = 12
"""Of `encoders adapt`, likewise all that follow."""
BATCH: Final = 128
RATE: Final = 2e-4
"""Of the encoder's own weights."""
HEAD_FASTER: Final = 2.5
"""How much faster than the encoder's weights the heads learn."""
PATIENCE: Final = 3
WIDTH: Final = 512
VIEWS: Final = 2
KEEP: Final = 1.0
VALIDATE: Final = 0.15
HOLD: Final = 0.1
MOST_FORGOTTEN: Final = 0.1

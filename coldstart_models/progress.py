"""How far long work is, as it is told to whoever watches."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told what is done and how much there is."""
StepProgress = Callable[[str], Progress]
"""Step name → who is told how far it is."""

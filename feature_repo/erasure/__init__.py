"""Erasing a person: the log, what was derived of it, and what kept a copy."""

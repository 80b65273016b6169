"""The general model: what goes with what, learned across shops, carried to another shop."""

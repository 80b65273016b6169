"""The Siamese scorer: one shared item tower, late interaction with the history, few-shot deltas."""

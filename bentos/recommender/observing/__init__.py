"""What a person who operates the service sees of it: request ids, logs, spans, load, readiness.

Metrics stand in `bentos.recommender.measures`; docs/operating.md lists all of it.
"""

"""A/B tests: who sees which variant, what the variants serve, and what the log says of them."""

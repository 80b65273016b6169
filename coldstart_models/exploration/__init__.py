"""Exposure for listings whose scores are unsure: policies, propensities, budgets, evaluation."""

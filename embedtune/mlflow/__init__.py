"""Reaching MLflow, and fetching from it what was registered."""

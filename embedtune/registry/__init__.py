"""A model folder and its scores become an MLflow model version."""

"""Public and synthetic sample data, written for people to try the pipeline on."""

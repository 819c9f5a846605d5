"""Measurements behind the claims in the documentation; run with `make bench`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

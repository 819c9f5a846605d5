"""Scores, history and documents become one self-contained page."""

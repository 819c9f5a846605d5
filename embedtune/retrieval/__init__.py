"""Vectors become ranked results, scores and a base-versus-tuned comparison."""

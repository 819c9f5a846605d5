"""Runs of Kubeflow: what became of their pods, and why."""

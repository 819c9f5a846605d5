"""Addresses of pages that people open, made from those of Kubeflow and MLflow in the environment."""

import os
from urllib.parse import quote

from embedtune.progress import note

KUBEFLOW_VARIABLE = "EMBEDTUNE_KUBEFLOW_URL"
"""Environment variable: where people open Kubeflow Pipelines, such as https://kubeflow.example.org/pipeline."""
MLFLOW_VARIABLE = "EMBEDTUNE_MLFLOW_URL"
"""Environment variable: where people open MLflow; steps reach it by MLFLOW_TRACKING_URI."""


def kubeflow_run(run_id: str) -> str:
    """Return the page of a run in Kubeflow, '' where nobody said where that is."""
    return _page(KUBEFLOW_VARIABLE, f"#/runs/details/{quote(run_id, safe='')}")


def mlflow_run(run_id: str) -> str:
    """Return the page of a run in MLflow, '' where nobody said where that is."""
    return _page(MLFLOW_VARIABLE, f"#/runs/{quote(run_id, safe='')}")


def mlflow_file(run_id: str, path: str) -> str:
    """Return where MLflow gives out a file that a run keeps, '' where nobody said where MLflow is."""
    return _page(MLFLOW_VARIABLE, f"get-artifact?path={quote(path)}&run_uuid={quote(run_id, safe='')}")


def mlflow_version(name: str, version: int) -> str:
    """Return the page of a model version in MLflow, '' where nobody said where that is."""
    return _page(MLFLOW_VARIABLE, f"#/models/{quote(name, safe='')}/versions/{version}")


def _page(variable: str, place: str) -> str:
    address = os.environ.get(variable, "").strip().rstrip("/")
    if not address:
        return ""
    if not address.startswith(("http://", "https://")) or any(sign in address for sign in " <>()[]|\"'`\\@"):
        note(f"{variable} is no address of the form https://host/path, so there is no link to it. Correct it.")
        return ""
    return f"{address}/{place}"

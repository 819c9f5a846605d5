"""Thin component of `embedtune.steps.build_shard`."""

from typing import NamedTuple

from kfp.dsl import Dataset, Input, Output

from components.images import data_component


@data_component
def build_shard(
    plan: Input[Dataset],
    train: Output[Dataset],
    evaluation: Output[Dataset],
    rows_uri: str,
    number: str,
) -> NamedTuple("Parts", [("train_uri", str), ("evaluation_uri", str)]):
    """Write the Documents that the rows of one file become.

    Args:
        plan: Which Documents each of the files becomes.
        train: This file's training documents.
        evaluation: This file's queries and index documents.
        rows_uri: Where the validated rows of this file are (parquet).
        number: Place of the file among all files, from '0'.

    Returns:
        train_uri: Where this file's training documents are.
        evaluation_uri: Where this file's queries and index documents are.
    """
    from pathlib import Path

    from embedtune.steps.build_shard import BuildShardConfig
    from embedtune.steps.build_shard import build_shard as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("build_shard")
    step(BuildShardConfig(rows_uri=rows_uri, number=number), Path(plan.path), Path(train.path), Path(evaluation.path))
    return train.uri, evaluation.uri

"""The page of parameters says what the code does."""

import dataclasses

from embedtune.cli.fields import OPTION_KINDS
from pipelines.compiling import PIPELINES, parameters_of
from pipelines.parameters import PAGE, parameters_page

NAMES = """
data_uri data_layout data_csv_options data_max_bad_share
model_backbone model_max_length model_options
train_loss train_epochs train_batch_size train_learning_rate train_seed train_options train_cpu train_memory
eval_share eval_split eval_metric eval_options
register_model_name register_experiment register_min_gain register_min_lower_bound
gpu_count gpu_type gpu_node_selector gpu_tolerations
"""


def test_the_names_are_these_for_good() -> None:
    for name, pipeline in PIPELINES.items():
        further = {"train_grid"} if name == "sweep" else set()
        assert {parameter.name for parameter in parameters_of(pipeline)} == set(NAMES.split()) | further


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == parameters_page(), "python -m pipelines.parameters"


def test_no_field_is_a_parameter_as_well() -> None:
    fields = {
        f"{name.removesuffix('options')}{field.name}"
        for name, kind in OPTION_KINDS.items()
        for field in dataclasses.fields(kind)
    }
    assert fields.isdisjoint(NAMES.split())

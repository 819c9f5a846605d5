"""The first task refuses whatever a later one would, with that step's own message, and every parameter is tried."""

import ast
import dataclasses
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, get_type_hints

import pytest
from kfp import dsl

import embedtune
from embedtune.documents.schema import SplitRule
from embedtune.documents.split import check_rule
from embedtune.errors import ConfigError, EmbedtuneError, InputError
from embedtune.records.layouts import Layout, Modality
from embedtune.steps.run_parameters import RunParameters
from embedtune.training.candidates import CandidateSettings
from embedtune.training.config import FinetuneConfig
from embedtune.training.fits import check_augment, check_decides_alike, check_fits, check_tower, untrainable
from embedtune.training.options import TrainOptions
from pipelines.compiling import PIPELINES, compiled_documents, parameters_of

LIBRARY = Path(embedtune.__file__).parent
Changes = dict[str, Any]


def csv(**options: object) -> Changes:
    return {"data_csv_options": json.dumps(options)}


def model(**options: object) -> Changes:
    return {"model_options": json.dumps(options)}


def train(**options: object) -> Changes:
    return {"train_options": json.dumps(options)}


def evaluation(**options: object) -> Changes:
    return {"eval_options": json.dumps(options)}


NAN, INFINITY = float("nan"), float("inf")
REFUSED: list[Changes] = [
    *({"data_uri": uri} for uri in ("", " ", "a\0b", "file:///a%00b", "ftp://host/data.csv", "file://host/data.csv")),
    *({"data_uri": uri} for uri in ("s3://A/x", "minio://bucket/a//b", "s3://bucket/../x", "https://", "http://a:0/x")),
    *({"data_uri": uri} for uri in ("s3://ada:secret@bucket/x", "https://host/x?token=1", "dataset://a/b/c")),
    {"data_uri": "dataset://../x"},
    {"data_layout": "triples"},
    {"data_layout": "beir"},
    *(train(**{name: value}) for name, value in (("validation_share", 1.0), ("validation_metric", "ndcg"))),
    train(keep_best_epoch=True),
    *({"data_max_bad_share": share} for share in (-0.1, 1.1, NAN)),
    *({"data_csv_options": text} for text in ("x", "[]", "[" * 9999, "9" * 9999, '{"quote": 1}', '{"sep": "|"}')),
    *(csv(**{name: 1}) for name in ("encoding", "header", "task", "pos_value", "neg_value", "dialect")),
    *(csv(**{name: "x"}) for name in ("header", "task", "dialect", "encoding", "convert_to_blob")),
    *(csv(**{name: "no"}) for name in ("create_point_clouds", "is_labeled")),
    *(csv(size=size) for size in (0, 1.5, True, "5")),
    *(csv(point_cloud_size=size) for size in (0, 1_000_001)),
    *(csv(seed=seed) for seed in (-1, 0.5)),
    *(csv(sampling_rate=rate) for rate in (0, 1.5, True, "1")),
    *(csv(columns=columns) for columns in ([], "a", [""], [True], [0], ["a", "a"])),
    csv(columns=["a", "b"], header="no"),
    csv(pos_value="x", neg_value=" x"),
    {"data_layout": "pairs", **csv(is_labeled=True)},
    {"data_layout": "labelled", **csv(is_labeled=False)},
    {"data_layout": "pairs", **csv(task="text-to-image")},
    {"data_layout": "text-image", **csv(task="text-to-text")},
    {"data_layout": "pairs", **csv(columns=["a"])},
    {"data_layout": "scored", **csv(columns=[1, 2, 3, 4])},
    {"data_layout": "matches", **csv(columns=[1, 2])},
    {"model_backbone": ""},
    {"model_backbone": " "},
    {"model_max_length": -1},
    *({"model_options": text} for text in ("x", "[]", "[" * 9999, '{"poolings": 1}', '{"pooling": 1}')),
    model(select_model="clip"),
    model(pooling="sum"),
    model(pooling_p=0),
    model(pooling_eps=0),
    model(output_dim=-1),
    model(normalize="yes"),
    {"train_loss": "none"},
    {"train_epochs": -1},
    {"train_batch_size": 3},
    *({"train_learning_rate": rate} for rate in (-1e-9, 1.0, NAN)),
    *({"train_learning_rate": rate, **train(optimizer="SGD")} for rate in (-1.0, INFINITY)),
    *({"train_seed": seed} for seed in (-1, 2**32, 2**63)),
    *({"train_options": text} for text in ("x", "[]", '{"optimiser": "Adam"}', '{"warmup": "1"}')),
    train(optimizer="Lion"),
    *(train(weight_decay=decay) for decay in (-0.1, INFINITY)),
    *(train(layer_decay=decay) for decay in (0, 1.1)),
    *(train(warmup=share) for share in (-0.1, 1.1)),
    train(items_per_label=1),
    {"train_loss": "SupConLoss", "train_batch_size": 6},
    *(train(loss_learning_rate=rate) for rate in (-0.1, INFINITY)),
    train(precision="bf16"),
    *(train(checkpoint_minutes=minutes) for minutes in (-1, INFINITY)),
    *(train(augment=names) for names in (["blur"], "flip", [1])),
    *({"eval_share": share} for share in (0.0, 1.0, NAN)),
    {"eval_split": "random"},
    *({"eval_metric": metric} for metric in ("accuracy", "ndcg", "ndcg_at_0", "ndcg_at_1001")),
    *({"eval_options": text} for text in ("x", "[]", '{"k": 1}')),
    evaluation(batch_size=0),
    *(evaluation(cutoffs=cutoffs) for cutoffs in ([], [0], [1001], ["10"])),
    *(evaluation(metrics=names) for names in ([], ["accuracy"])),
    evaluation(metric_set="ours"),
    evaluation(distance="manhattan"),
    evaluation(documents=-1),
    *(evaluation(evaluations=each) for each in (["folder"], ["a b=folder"], ["a="], ["a=x", "a=y"], ["a=ftp://x"])),
    evaluation(probe="other"),
    *(evaluation(evaluations=["a=x"], probe="a", probe_drop=drop) for drop in (-0.1, 1.1)),
    evaluation(probe_drop=0.5),
    *({"register_model_name": name} for name in ("", "a/b", "-a", "a" * 201)),
    *({"register_experiment": name} for name in ("", " ")),
    *({"register_min_gain": gain} for gain in (-0.1, 1.1, NAN)),
    *({"register_min_lower_bound": bound} for bound in (-0.1, 1.1, NAN)),
    *({"gpu_count": count} for count in ("", "abc", "-1", "1.5", "٣", "1234567", " 1")),
]
"""What one of the later steps refuses, each with what is left at its default."""

POD_REFUSED: list[tuple[Changes, str]] = [
    *(
        ({"train_cpu": cores}, f"train_cpu is {cores!r}; accepted: cores of one node, such as")
        for cores in (
            "",
            " 4",
            "-1",
            "+4",
            "four",
            "4cores",
            "0",
            "0.0009",
            "999u",
            "999999n",
            "0.9m",
            "10000.1",
            "16Gi",
            "4M",
            "1e999",
            "٣",
        )
    ),
    *(
        ({"train_memory": size}, f"train_memory is {size!r}; accepted: 1Gi or more, with its unit")
        for size in ("", "16", "500m", "16GB", "16gi", "16 Gi", "-16Gi", "1023Mi", "1G", "1073741823", "1e9", "0.9Gi")
    ),
    *(
        ({"gpu_type": name}, f"gpu_type is '{name}'; accepted: the name of a resource")
        for name in ("", "gpu", "nvidia.com/", "/gpu", "NVIDIA.com/gpu", "nvidia..com/gpu", "a/b/c", f"a/{'b' * 64}")
    ),
    *(
        ({"gpu_node_selector": labels}, f"gpu_node_selector is {labels!r}, of which ")
        for labels in ({"": "a"}, {"a/": "b"}, {"A.b/c": "d"}, {"a": "b c"}, {"a": "-"}, {"a": 1.0}, {"a": "b" * 64})
    ),
    *(
        ({"gpu_tolerations": [toleration]}, f"gpu_tolerations has {toleration!r}, {fault}; accepted: objects such")
        for toleration, fault in (
            ("gpu", "which is no object"),
            ({"kye": "a"}, "whose key 'kye' is none of key, operator, value, effect, tolerationSeconds"),
            (
                {"toleration_seconds": 3},
                "whose key 'toleration_seconds' is none of key, operator, value, effect, tolerationSeconds (perhaps "
                "'tolerationSeconds' is meant)",
            ),
            ({"key": 1.0}, "whose key is no text"),
            ({"key": "a", "operator": "exists"}, "whose operator is none of Equal, Exists"),
            ({"key": "a", "effect": "NoRun"}, "whose effect is none of NoSchedule, PreferNoSchedule, NoExecute"),
            ({"key": "a b"}, "whose key can be no taint's"),
            ({"effect": "NoSchedule"}, "which names no key, and so needs the operator Exists"),
            ({"key": "a", "operator": "Exists", "value": "b"}, "whose operator Exists takes no value"),
            ({"key": "a", "value": "b c"}, "whose value can be no taint's"),
            *(
                (
                    {"key": "a", "effect": "NoExecute", "tolerationSeconds": s},
                    "whose tolerationSeconds is no whole number",
                )
                for s in ("3", True, 1.5, INFINITY)
            ),
            ({"key": "a", "tolerationSeconds": 3.0}, "whose tolerationSeconds need the effect NoExecute"),
        )
    ),
]
"""What Kubernetes would refuse of the pods, and how the message begins."""

TAKEN: list[Changes] = [
    *({"train_learning_rate": rate} for rate in (0.0, 0.999)),
    {"train_learning_rate": 5.0, **train(optimizer="Adadelta")},
    {"train_loss": "SupConLoss", "train_batch_size": 8},
    {"train_batch_size": 4},
    *(
        {"train_cpu": cores}
        for cores in ("0.001", "1m", "1000u", "1000000n", "500m", ".5", "1.", "4", "1e1", "1E1", "10k")
    ),
    *(
        {"train_memory": size}
        for size in ("1Gi", "1073741824", "1024Mi", "1048576Ki", "1.1e9", "2G", "2E9", "1Ti", "1Pi")
    ),
    *({"train_memory": size} for size in ("2000M", "1073742k", "1E", "1Ei", "2T", "1P")),
    {"data_max_bad_share": 1.0, "register_min_gain": 1.0, "register_min_lower_bound": 1.0, "train_seed": 2**32 - 1},
    {"gpu_count": "8", "gpu_type": "amd.com/gpu", "gpu_node_selector": {"a.b/c_d": "E", "zone": ""}},
    {"gpu_type": f"{'a' * 63}.b/{'b' * 63}", "gpu_node_selector": {"b" * 63: "b" * 63}},
    {"gpu_tolerations": []},
    {"gpu_tolerations": [{"operator": "Exists"}, {"key": "a.b/c", "value": "d", "effect": "PreferNoSchedule"}]},
    {"gpu_tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 300.0}]},
    {"data_layout": "scored", "train_loss": "CoSENTLoss"},
    {"data_layout": "scored"},
    {"train_loss": "CLIPLoss"},
    {"data_layout": "labelled", "eval_split": "stratified"},
    {"eval_split": "stratified"},
    {**csv(task="image-to-image"), **train(augment=["flip"])},
    {**csv(task="text-to-image", convert_to_blob=True, create_point_clouds=False), **train(augment=["colour"])},
    {**csv(task="image-to-image"), **model(select_model="clip-vision")},
    csv(convert_to_blob=False, create_point_clouds=False),
    {**csv(task="text-to-text", convert_to_blob=False, create_point_clouds=False)},
]


def step_configs(name: str) -> dict[str, tuple[type, dict[str, Any]]]:
    """Give each later task's configuration and what the compiled pipeline hands it, by field; not what tasks return."""
    spec = compiled_documents(PIPELINES[name])[0]
    found = {}
    for dag in (spec["root"], *(component for component in spec["components"].values() if "dag" in component)):
        for task_name, task in dag["dag"]["tasks"].items():
            if "dag" not in spec["components"][task["componentRef"]["name"]]:
                step = task_name.replace("-", "_")
                function = getattr(importlib.import_module(f"embedtune.steps.{step}"), step)
                found[step] = (get_type_hints(function)["config"], task["inputs"].get("parameters", {}))
    return found


STEPS = {name: step_configs(name) for name in PIPELINES}
STEPS["sweep"]["finetune"] = STEPS["finetune"]["finetune"]  # what each combination of settings is


def parameters(name: str, changes: Changes) -> Changes:
    defaults = {parameter.name: parameter.default for parameter in parameters_of(PIPELINES[name])}
    as_typed = {key: int(value) if key.endswith(WHOLE) else value for key, value in defaults.items()}  # type: ignore
    return {**as_typed, "data_uri": "data.csv", **changes}


FROM_TASKS = {"uri": "a.csv", "rows_uri": "rows", "number": "0", "train_parts": (), "evaluation_parts": ()}
FROM_TASKS |= {"settings": CandidateSettings({}, FinetuneConfig()).to_json()}
"""What stands here for values without a default that a task hands on."""

RUN_ID = "028a0a7f-b0a6-4045-afb6-0394f34dfe56"
WHOLE = ("_max_length", "_epochs", "_batch_size", "_seed")


def refusals(name: str, changes: Changes) -> Iterator[tuple[type, str]]:
    """Give what the later steps of a pipeline say to a run's parameters."""
    given = parameters(name, changes)
    for step, (config, sources) in STEPS[name].items():
        if step == "resolve_data":
            continue
        values = {}
        for field in dataclasses.fields(config):
            source = sources.get(field.name, {})
            outer = source.get("componentInputParameter", "").removeprefix("pipelinechannel--")
            if outer in given:
                values[field.name] = given[outer]
            elif "runtimeValue" in source:
                constant = source["runtimeValue"]["constant"]
                values[field.name] = RUN_ID if constant == dsl.PIPELINE_JOB_ID_PLACEHOLDER else constant
            elif field.default is dataclasses.MISSING:
                values[field.name] = FROM_TASKS[field.name]
        try:
            config(**values)
        except EmbedtuneError as error:
            yield type(error), str(error)


every_pipeline = pytest.mark.parametrize("name", sorted(PIPELINES))


@every_pipeline
@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_what_a_later_step_refuses_the_first_one_refuses_in_its_words(name: str, changes: Changes) -> None:
    later = list(refusals(name, changes))
    with pytest.raises(EmbedtuneError) as caught:
        PIPELINES[name].check(parameters(name, changes))
    assert (type(caught.value), str(caught.value)) in later


@every_pipeline
@pytest.mark.parametrize("changes", [{}, *TAKEN], ids=str)
def test_what_no_step_refuses_is_taken(name: str, changes: Changes) -> None:
    PIPELINES[name].check(parameters(name, changes))
    assert list(refusals(name, changes)) == []


@pytest.mark.parametrize(("changes", "message"), POD_REFUSED, ids=str)
def test_what_kubernetes_would_refuse(changes: Changes, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        RunParameters("data.csv", **changes)


def test_every_parameter_has_a_value_that_is_refused() -> None:
    alone = {key for changes in (*REFUSED, *(changes for changes, _ in POD_REFUSED)) for key in changes}
    for name in PIPELINES:
        assert {parameter.name for parameter in parameters_of(PIPELINES[name])} - {"train_grid"} == alone


IMAGES, MESHES = {"task": "image-to-image"}, {"task": "mesh-to-mesh"}
TOGETHER: list[tuple[Changes, Callable[[], object]]] = [
    ({"data_layout": "pairs", "eval_split": "stratified"}, lambda: check_rule(Layout.PAIRS, SplitRule.STRATIFIED)),
    ({"data_layout": "plain", "eval_split": "group"}, lambda: check_rule(Layout.PLAIN, SplitRule.GROUP)),
    (
        {**csv(task="text-to-image"), "eval_split": "stratified"},
        lambda: check_rule(Layout.TEXT_IMAGE, SplitRule.STRATIFIED),
    ),
    ({"data_layout": "plain"}, lambda: fail(untrainable("The data", Layout.PLAIN, (), True))),
    (csv(**IMAGES, convert_to_blob=False), lambda: fail(untrainable("The data", None, (Modality.IMAGE,), False))),
    (csv(**MESHES, create_point_clouds=False), lambda: fail(untrainable("The data", None, (Modality.MESH,), False))),
    (
        {"data_layout": "text-image", **csv(convert_to_blob=False)},
        lambda: fail(untrainable("The data", None, (Modality.IMAGE,), False)),
    ),
    ({"data_layout": "scored", "train_loss": "CLIPLoss"}, lambda: check_fits(Layout.SCORED, (), "CLIPLoss")),
    (
        {**csv(is_labeled=True, **IMAGES), "train_loss": "CoSENTLoss"},
        lambda: check_fits(Layout.LABELLED, (Modality.IMAGE,), "CoSENTLoss"),
    ),
    (
        train(validation_share=0.1, validation_metric="map_at_20"),
        lambda: check_decides_alike(TrainOptions(validation_share=0.1, validation_metric="map_at_20"), "ndcg_at_10"),
    ),
    ({**csv(**IMAGES), **train(augment=["rotate"])}, lambda: check_augment((Modality.IMAGE,), ["rotate"])),
    ({**csv(task="text-to-text"), **train(augment=["flip"])}, lambda: check_augment((Modality.TEXT,), ["flip"])),
    (
        {"data_layout": "text-image", **model(select_model="clip-text")},
        lambda: check_tower((Modality.TEXT, Modality.IMAGE), "clip-text"),
    ),
    ({**csv(**IMAGES), **model(select_model="clip-text")}, lambda: check_tower((Modality.IMAGE,), "clip-text")),
]
"""What building and training refuse of a layout or contents that are named, and the check of theirs that does."""


def fail(error: InputError | None) -> None:
    assert error is not None
    raise error


@every_pipeline
@pytest.mark.parametrize(("changes", "later"), TOGETHER, ids=[str(changes) for changes, _ in TOGETHER])
def test_what_does_not_go_together_is_refused_before_anything_is_read(
    name: str, changes: Changes, later: Callable[[], object]
) -> None:
    with pytest.raises((ConfigError, InputError)) as expected:
        later()
    with pytest.raises((ConfigError, InputError)) as caught:
        PIPELINES[name].check(parameters(name, changes))
    assert (type(caught.value), str(caught.value)) == (type(expected.value), str(expected.value))


SIZE = csv(size=5)


def test_only_tasks_that_read_one_file_each_refuse_a_number_of_rows_of_all() -> None:
    PIPELINES["finetune"].check(parameters("finetune", SIZE))
    with pytest.raises(ConfigError, match="The CSV option size counts the rows of all files, which finetune-sharded"):
        PIPELINES["finetune-sharded"].check(parameters("finetune-sharded", SIZE))
    PIPELINES["finetune-sharded"].check(parameters("finetune-sharded", csv(sampling_rate=0.5)))


@every_pipeline
def test_the_first_task_is_handed_every_parameter(name: str) -> None:
    config, sources = STEPS[name]["resolve_data"]
    further = ("by_file", "sweep") if name == "sweep" else ("by_file", "sweep", "train_grid")
    constants = {key: sources.pop(key)["runtimeValue"]["constant"] for key in further}
    assert (constants["by_file"], constants["sweep"]) == (name == "finetune-sharded", name == "sweep")
    names = [parameter.name for parameter in parameters_of(PIPELINES[name])]
    handed = {key: source["componentInputParameter"] for key, source in sources.items()}
    assert handed == {key: f"pipelinechannel--{key}" for key in names}
    sources.update({key: {} for key in further})
    assert sorted(names) == sorted({field.name for field in dataclasses.fields(config)} - {*further})


UNREACHED = {
    "schema.py: raise ConfigError(f'max_bad_share=": "reading refuses the same before",
    "evaluate_retrieval.py: raise ConfigError(f'seed is": "building refuses the same before",
    "evaluations.py: raise ConfigError(f'evaluation_versions is": "the first task returns them",
    "evaluate_retrieval.py: check_versions(": "the first task returns them",
    'register_model.py: raise ConfigError(f"started is': "the first task returns it",
    "fits.py: raise _nothing_to_learn(": "`untrainable` refuses the same before",
}
"""Refusals that no parameter of a pipeline reaches, by file and start of their source, and why."""


@dataclasses.dataclass(frozen=True)
class Site:
    """A place in the library that refuses, or hands on to one that does."""

    path: Path
    first: int
    last: int
    source: str


def sites_in(code: CodeType) -> Iterator[Site]:
    path = Path(code.co_filename)
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
        if first == code.co_firstlineno:
            for node in ast.walk(function):
                is_call = isinstance(node, ast.Call) and re.match(r"(.*\.)?_?check", ast.unparse(node.func))
                if is_call or isinstance(node, ast.Raise):
                    yield Site(path, node.lineno, node.end_lineno or 0, ast.unparse(node))


def lines_of(error: BaseException | None) -> Iterator[tuple[Path, int]]:
    """Give the lines through which an error went, and those of its causes."""
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            yield Path(traceback.tb_frame.f_code.co_filename), traceback.tb_lineno
            traceback = traceback.tb_next
        error = error.__cause__


def test_every_refusal_on_the_way_has_a_case() -> None:
    """A new check, or a new field that is checked, fails here until a case above reaches it."""
    ran: set[CodeType] = set()
    reached: set[tuple[Path, int]] = set()

    def note_call(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(LIBRARY)):
            ran.add(frame.f_code)

    cases = [*REFUSED, *(changes for changes, _ in (*POD_REFUSED, *TOGETHER)), {**SIZE, "by_file": True}]
    for changes in cases:
        sys.setprofile(note_call)
        try:
            RunParameters(**parameters("finetune", changes))
        except EmbedtuneError as error:
            reached.update(lines_of(error))
        finally:
            sys.setprofile(None)
    sites = {site for code in ran for site in sites_in(code)}
    missed = {
        f"{site.path.parent.name}/{site.path.name}: {site.source}"
        for site in sites
        if not any((site.path, line) in reached for line in range(site.first, site.last + 1))
    }
    known = {text for text in UNREACHED if any(text in each for each in missed)}
    assert [each for each in sorted(missed) if not any(text in each for text in UNREACHED)] == []
    assert known == set(UNREACHED)
    assert len(sites) > 90


def test_epochs_of_scored_data_are_compared_by_the_correlation_whatever_metric_is_named():
    options = {"validation_share": 0.1}
    found = RunParameters("data.csv", data_layout="scored", eval_metric="map_at_20", train_options=json.dumps(options))
    assert found.eval_metric == "map_at_20"

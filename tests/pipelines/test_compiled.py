"""The compiled pipeline, walked: what Kubeflow would run, and what it would choke on."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docstring_parser import parse_from_object
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from components.images import DATA_IMAGE, TRAIN_IMAGE
from components.readme import load_component
from embedtune import __version__
from embedtune.cli.steps import STEPS
from embedtune.steps.run_parameters import RunParameters
from embedtune.steps.surroundings import MLFLOW_FOLDER, SETTINGS_FOLDER
from pipelines.compile_options import CompileOptions
from pipelines.compiling import PIPELINES, compile_pipeline, compiled_documents, parameters_of
from pipelines.task_options import (
    HUB_KEYS,
    HUB_SECRET,
    MLFLOW_KEYS,
    MLFLOW_SECRET,
    S3_KEYS,
    S3_SECRET,
    SETTINGS,
    SETTINGS_CONFIG_MAP,
    STORE_KEYS,
    STORE_SECRET,
    WEBHOOK_KEYS,
    WEBHOOK_SECRET,
)

PREFIXES = ("data_", "model_", "train_", "eval_", "register_", "gpu_")
MOST_PARAMETERS = 28
UNCACHED = {"resolve-data", "register-model", "explain-failure"}
EXIT = "explain-failure"
TRAINING = {"finetune": "finetune", "finetune-sharded": "finetune", "sweep": "finetune-candidate"}
"""The task of each pipeline that trains."""
TRAIN = {*TRAINING.values(), "evaluate-retrieval"}
WITH_MLFLOW = {*TRAIN, "resolve-data", "register-model"}
BY_FILE = ("list_sources", "ingest_csv", "plan_documents", "build_shard", "merge_documents")
SWEEPS = ("finetune_candidate", "choose_candidate")
AT_ONCE = tuple(name for name in STEPS if name == "ingest_csv" or name not in BY_FILE)
STEPS_OF = {
    "finetune": tuple(name for name in AT_ONCE if name not in SWEEPS),
    "finetune-sharded": tuple(name for name in STEPS if name not in ("build_documents", *SWEEPS)),
    "sweep": tuple(name for name in AT_ONCE if name != "finetune"),
}
IN_A_LOOP = {"finetune": set(), "finetune-sharded": {"ingest-csv", "build-shard"}, "sweep": {"finetune-candidate"}}
SMALL_SIZE, DATA_SIZE, TRAIN_SIZE = (
    ("250m", "1", "1Gi", 2),
    ("500m", "2", "4Gi", 12),
    ("train_cpu", "train_cpu", "train_memory", 72),
)
SIZES = {
    **dict.fromkeys(("resolve-data", "list-sources", "register-model", EXIT), SMALL_SIZE),
    **dict.fromkeys(TRAIN, TRAIN_SIZE),
}
"""CPU that is asked for and at most used, memory, and hours; amounts, or the parameters that hold them."""

every_pipeline = pytest.mark.parametrize("name", sorted(PIPELINES))
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def compiled() -> dict[str, list[Spec]]:
    return {name: compiled_documents(pipeline) for name, pipeline in PIPELINES.items()}


def steps_dag(spec: Spec) -> Spec:
    """Give what the exit handler holds: every task but the last."""
    return spec["components"]["comp-exit-handler-1"]["dag"]


def dags_of(spec: Spec) -> Iterator[Spec]:
    """Give every component that is a DAG, the root first."""
    yield spec["root"]
    yield from (component for component in spec["components"].values() if "dag" in component)


def tasks_in(spec: Spec) -> dict[str, Spec]:
    """Give every task of every DAG that is a step."""
    tasks = (entry for dag in dags_of(spec) for entry in dag["dag"]["tasks"].items())
    return {name: task for name, task in tasks if "dag" not in spec["components"][task["componentRef"]["name"]]}


def tasks_of(name: str) -> set[str]:
    return {step.replace("_", "-") for step in STEPS_OF[name]}


def parameters_in(spec: Spec) -> dict[str, Spec]:
    return spec["root"]["inputDefinitions"]["parameters"]


def executors_in(documents: list[Spec]) -> dict[str, Spec]:
    """Give each task's Kubernetes settings."""
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor for name, executor in executors.items()}


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for entry in value.items() for part in entry for text in texts_in(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts_in(part))
    else:
        yield str(value)


@every_pipeline
def test_documents_are_what_the_backend_parses(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec, platform = compiled[name]
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


@every_pipeline
def test_every_dag_is_handed_the_parameters_its_tasks_use(name: str, compiled: dict[str, list[Spec]]) -> None:
    """Kfp 2.17 forgets some inside ExitHandler, If and ParallelFor; such a run dies in the task's driver."""
    seen = 0
    for dag in dags_of(compiled[name][0]):
        declared = dag.get("inputDefinitions", {}).get("parameters", {})
        for task_name, task in dag["dag"]["tasks"].items():
            for source in task.get("inputs", {}).get("parameters", {}).values():
                if "componentInputParameter" in source:
                    assert source["componentInputParameter"] in declared, task_name
                    seen += 1
    assert seen > 0


@every_pipeline
def test_a_run_on_the_cpu_keeps_away_from_gpu_nodes(name: str, compiled: dict[str, list[Spec]]) -> None:
    """What nodes are asked for is an output of the first task, which knows whether GPUs are wanted."""
    outputs = compiled[name][0]["components"]["comp-resolve-data"]["outputDefinitions"]["parameters"]
    for task, executor in executors_in(compiled[name]).items():
        placed = [*executor.get("tolerations", ()), *filter(None, [executor.get("nodeSelector")])]
        sources = [source for entry in placed for source in entry.values()]
        wanted = ("tolerations", "node_selector") if task in TRAIN else ()
        if task in IN_A_LOOP[name]:  # to the loop, what an earlier task returned is an input
            assert sources == [{"componentInputParameter": f"pipelinechannel--resolve-data-{key}"} for key in wanted]
            continue
        produced = [{"producerTask": "resolve-data", "outputParameterKey": key} for key in wanted]
        assert sources == [{"taskOutputParameter": each} for each in produced]
        if sources:
            assert "resolve-data" in tasks_in(compiled[name][0])[task]["dependentTasks"]
    assert (outputs["tolerations"]["parameterType"], outputs["node_selector"]["parameterType"]) == ("LIST", "STRUCT")


@every_pipeline
def test_form_is_short_explained_and_grouped_by_prefix(name: str, compiled: dict[str, list[Spec]]) -> None:
    parameters = parameters_in(compiled[name][0])
    assert len(parameters) <= MOST_PARAMETERS
    for key, definition in parameters.items():
        assert key.startswith(PREFIXES), key
        assert definition.get("description", "").endswith("."), key


@every_pipeline
def test_a_parameter_is_explained_alike_by_the_form_and_the_first_task(name: str) -> None:
    spec = load_component("resolve_data").component_spec
    texts = {entry.arg_name: entry.description for entry in parse_from_object(RunParameters).params}
    for parameter in parameters_of(PIPELINES[name]):
        assert parameter.description == spec.inputs[parameter.name].description == texts[parameter.name]


@every_pipeline
def test_every_parameter_is_used(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec, platform = compiled[name]
    named = {text.removeprefix("pipelinechannel--") for text in texts_in([steps_dag(spec), platform])}
    assert set(parameters_in(spec)) <= named


@every_pipeline
def test_only_what_has_no_sensible_default_is_required(name: str, compiled: dict[str, list[Spec]]) -> None:
    parameters = parameters_in(compiled[name][0])
    assert [key for key, definition in parameters.items() if "defaultValue" not in definition] == ["data_uri"]


@every_pipeline
def test_defaults_are_the_components_defaults(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec = compiled[name][0]
    compared = set()
    for task_name, task in tasks_in(spec).items():
        inputs = spec["components"][task["componentRef"]["name"]]["inputDefinitions"]["parameters"]
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            outer_name = source.get("componentInputParameter", "").removeprefix("pipelinechannel--")
            outer = parameters_in(spec).get(outer_name, {})
            if "defaultValue" in outer and "defaultValue" in inputs.get(key, {}):
                assert outer["defaultValue"] == inputs[key]["defaultValue"], (task_name, key)
                assert outer["parameterType"] == inputs[key]["parameterType"], (task_name, key)
                compared.add((task_name, key))
    planning = "plan-documents" if name == "finetune-sharded" else "build-documents"
    training = (TRAINING[name], "gpu_count" if name == "sweep" else "learning_rate")
    assert {training, (planning, "eval_share"), ("ingest-csv", "layout")} <= compared


@every_pipeline
def test_every_option_of_the_steps_is_set_by_the_pipeline(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec = compiled[name][0]
    for task_name, task in tasks_in(spec).items():
        inputs = spec["components"][task["componentRef"]["name"]]["inputDefinitions"].get("parameters", {})
        assert set(inputs) <= set(task["inputs"].get("parameters", {})), task_name


def test_files_are_read_in_tasks_of_their_own_that_get_nothing_from_tasks_before_but_their_item(
    compiled: dict[str, list[Spec]],
) -> None:
    """Inside a loop kfp.local 2.17 takes the loop's item for every value that an earlier task returned."""
    spec = compiled["finetune-sharded"][0]
    loops = {name: task for name, task in steps_dag(spec)["tasks"].items() if "parameterIterator" in task}
    assert len(loops) == 2
    for task in loops.values():
        item = task["parameterIterator"]["items"]["inputParameter"]
        given = task["inputs"]["parameters"]
        assert [name for name, source in given.items() if "taskOutputParameter" in source] == [item]
        assert task["iteratorPolicy"] == {"parallelismLimit": 8}


def test_gpu_count_is_a_text(compiled: dict[str, list[Spec]]) -> None:
    """The driver reads a number as '' and drops the GPU without a word."""
    spec = compiled["finetune"][0]
    assert parameters_in(spec)["gpu_count"]["parameterType"] == "STRING"
    assert parameters_in(spec)["gpu_type"]["parameterType"] == "STRING"
    executors = spec["deploymentSpec"]["executors"]
    with_gpu = {name.removeprefix("exec-") for name in executors if "accelerator" in str(executors[name])}
    assert with_gpu == TRAIN & tasks_of("finetune")


def test_gpu_tasks_have_shared_memory_and_the_choice_of_nodes(compiled: dict[str, list[Spec]]) -> None:
    for name, executor in executors_in(compiled["finetune"]).items():
        settings = {"emptyDirMounts", "nodeSelector", "tolerations"} & set(executor)
        assert settings == ({"emptyDirMounts", "nodeSelector", "tolerations"} if name in TRAIN else set())
        for mount in executor.get("emptyDirMounts", []):
            assert (mount["mountPath"], mount["medium"], mount["sizeLimit"]) == ("/dev/shm", "Memory", "1Gi")


@every_pipeline
def test_tasks_in_the_order_of_the_steps(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec = compiled[name][0]
    assert set(tasks_in(spec)) == tasks_of(name) == set(executors_in(compiled[name]))
    assert set(tasks_in(spec)) - set(steps_dag(spec)["tasks"]) == IN_A_LOOP[name] | {EXIT}


def test_the_straight_pipeline_has_six_tasks_and_one_that_explains() -> None:
    assert len(STEPS_OF["finetune"]) == 6 + 1


@every_pipeline
def test_the_last_task_runs_whatever_became_of_the_others(name: str, compiled: dict[str, list[Spec]]) -> None:
    spec = compiled[name][0]
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == {"exit-handler-1", EXIT}
    assert tasks[EXIT]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert tasks[EXIT]["dependentTasks"] == ["exit-handler-1"]
    assert tasks[EXIT]["inputs"]["parameters"] == {
        "run_id": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}},
        "status": {"taskFinalStatus": {"producerTask": "exit-handler-1"}},
    }
    # kfp has either outputs or an exit handler.
    assert "outputDefinitions" not in spec["root"]


@every_pipeline
def test_both_builds_have_the_same_tasks_and_form(name: str, compiled: dict[str, list[Spec]]) -> None:
    here = json_format.MessageToDict(PIPELINES[name].component.pipeline_spec)
    cluster = compiled[name][0]
    # kfp numbers loops and exit handlers together.
    names = [sorted(task.rstrip("-1234") for task in dag["tasks"]) for dag in (here["root"]["dag"], steps_dag(cluster))]
    assert names[0] == names[1]
    assert here["root"]["inputDefinitions"] == cluster["root"]["inputDefinitions"]
    assert here["pipelineInfo"] == cluster["pipelineInfo"]
    assert set(here["root"]["outputDefinitions"]["parameters"]) >= {"name", "version", "champion", "data_version"}
    assert EXIT not in str(here)


@every_pipeline
def test_only_the_first_and_the_last_task_run_every_time(name: str, compiled: dict[str, list[Spec]]) -> None:
    tasks = tasks_in(compiled[name][0])
    cached = {task_name for task_name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == tasks_of(name) - UNCACHED


@every_pipeline
def test_every_task_outlives_lost_nodes(name: str, compiled: dict[str, list[Spec]]) -> None:
    """Argo retries nothing once backoffMaxDuration is over, and counts it from the start of the first attempt."""
    may_run = {task: int(executor["activeDeadlineSeconds"]) for task, executor in executors_in(compiled[name]).items()}
    for task_name, task in tasks_in(compiled[name][0]).items():
        assert task["retryPolicy"] == {
            "maxRetryCount": 3,
            "backoffDuration": "30s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": f"{4 * (may_run[task_name] + 24 * 3600)}s",
        }


@every_pipeline
def test_no_task_runs_as_root_and_none_names_a_user(name: str, compiled: dict[str, list[Spec]]) -> None:
    """OpenShift refuses a user that is not of its namespace's range."""
    for task, executor in executors_in(compiled[name]).items():
        assert executor["securityContext"] == {"runAsNonRoot": True}, task


def handed(parameter: str) -> str:
    return f"{{{{$.inputs.parameters['pipelinechannel--{parameter}']}}}}"


@every_pipeline
def test_every_task_asks_for_what_it_may_use_and_ends(name: str, compiled: dict[str, list[Spec]]) -> None:
    """A namespace with a quota refuses pods that do not say it; a task that hangs holds its node."""
    for task, executor in executors_in(compiled[name]).items():
        resources = compiled[name][0]["deploymentSpec"]["executors"][f"exec-{task}"]["container"]["resources"]
        *amounts, hours = SIZES.get(task, DATA_SIZE)
        cpu, most_cpu, memory = (handed(amount) if amount.startswith("train_") else amount for amount in amounts)
        assert (resources["resourceCpuRequest"], resources["resourceCpuLimit"]) == (cpu, most_cpu), task
        assert (resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]) == (memory, memory), task
        assert executor["activeDeadlineSeconds"] == str(hours * 3600), task


@every_pipeline
def test_no_resource_is_a_number_for_the_driver(name: str, compiled: dict[str, list[Spec]]) -> None:
    """The driver reads a number as '', which drops a GPU without a word and fails on any other resource."""
    spec, seen = compiled[name][0], set()
    for task_name, task in tasks_in(spec).items():
        resources = spec["deploymentSpec"]["executors"][f"exec-{task_name}"]["container"]["resources"]
        for key in re.findall(r"inputs\.parameters\['([^']+)'\]", str(resources)):
            assert type_of_input(spec, task["inputs"]["parameters"][key]) == "STRING", (task_name, key)
            seen.add((task_name, key))
    resources = ("gpu_type", "train_cpu", "train_memory")
    assert seen == {
        *((task, f"pipelinechannel--{key}") for task in TRAIN & tasks_of(name) for key in resources),
        (TRAINING[name], "pipelinechannel--gpu_count"),
        ("evaluate-retrieval", "pipelinechannel--resolve-data-evaluation_gpus"),
    }


def type_of_input(spec: Spec, source: Spec) -> str:
    if "taskOutputParameter" in source:
        output = source["taskOutputParameter"]
        outputs = spec["components"][f"comp-{output['producerTask']}"]["outputDefinitions"]["parameters"]
        return outputs[output["outputParameterKey"]]["parameterType"]
    outer = spec["components"]["comp-exit-handler-1"]["inputDefinitions"]["parameters"]
    return outer[source["componentInputParameter"]]["parameterType"]


@every_pipeline
def test_secrets_are_optional_and_only_their_names_are_known(name: str, compiled: dict[str, list[Spec]]) -> None:
    found = set()
    keys = {STORE_SECRET: STORE_KEYS, S3_SECRET: S3_KEYS, HUB_SECRET: HUB_KEYS, MLFLOW_SECRET: MLFLOW_KEYS}
    keys[WEBHOOK_SECRET] = WEBHOOK_KEYS
    for task, executor in executors_in(compiled[name]).items():
        for secret in executor["secretAsEnv"]:
            assert secret["optional"] is True
            variables = {entry["secretKey"]: entry["envVar"] for entry in secret["keyToEnv"]}
            assert variables == keys[secret["secretName"]]
            found.add((task, secret["secretName"]))
        (settings,) = executor["configMapAsEnv"]
        assert settings["optional"] is True
        assert settings["configMapName"] == SETTINGS_CONFIG_MAP
        assert {entry["configMapKey"]: entry["envVar"] for entry in settings["keyToEnv"]} == SETTINGS
    assert found == {
        *((task, secret) for task in tasks_of(name) - {EXIT} for secret in (STORE_SECRET, S3_SECRET)),
        *((task, HUB_SECRET) for task in ("resolve-data", TRAINING[name], "evaluate-retrieval")),
        *((task, MLFLOW_SECRET) for task in WITH_MLFLOW & tasks_of(name)),
        (EXIT, WEBHOOK_SECRET),
    }


@every_pipeline
def test_kubeflows_keys_never_become_amazons(name: str, compiled: dict[str, list[Spec]]) -> None:
    """A step's environment is its launcher's, which would take them for the keys of s3://."""
    for task, executor in executors_in(compiled[name]).items():
        variables = {
            entry["envVar"]
            for secret in executor["secretAsEnv"]
            if secret["secretName"] == "mlpipeline-minio-artifact"
            for entry in secret["keyToEnv"]
        }
        assert variables == (set() if task == EXIT else {"MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"}), task


@every_pipeline
def test_authorities_come_as_files(name: str, compiled: dict[str, list[Spec]]) -> None:
    for task, executor in executors_in(compiled[name]).items():
        (settings,) = executor["configMapAsVolume"]
        assert (settings["configMapName"], settings["optional"]) == (SETTINGS_CONFIG_MAP, True)
        assert settings["mountPath"] == str(SETTINGS_FOLDER)
        secrets = [
            (entry["secretName"], entry["optional"], entry["mountPath"]) for entry in executor.get("secretAsVolume", ())
        ]
        assert secrets == ([(MLFLOW_SECRET, True, str(MLFLOW_FOLDER))] if task in WITH_MLFLOW else []), task


@every_pipeline
def test_nothing_is_installed_and_no_environment_holds_a_value(name: str, compiled: dict[str, list[Spec]]) -> None:
    assert not [text for text in texts_in(compiled[name]) if "pip install" in text or "pip3 install" in text]
    for executor in compiled[name][0]["deploymentSpec"]["executors"].values():
        assert "env" not in executor["container"]


@every_pipeline
def test_images_carry_the_librarys_version(name: str, compiled: dict[str, list[Spec]]) -> None:
    executors = compiled[name][0]["deploymentSpec"]["executors"]
    images = {key.removeprefix("exec-"): executor["container"]["image"] for key, executor in executors.items()}
    assert images == {task: TRAIN_IMAGE if task in TRAIN else DATA_IMAGE for task in images}
    assert {image.rpartition(":")[2] for image in images.values()} == {__version__}


@every_pipeline
def test_choices_are_closed_for_real_parameters_and_hold_the_default(name: str) -> None:
    parameters = {parameter.name: parameter for parameter in parameters_of(PIPELINES[name])}
    for key, values in PIPELINES[name].literals.items():
        assert parameters[key].choices == tuple(map(str, values))
        assert parameters[key].default in parameters[key].choices
        assert len(set(values)) == len(values) > 1


def test_parameters_come_in_the_order_of_the_form() -> None:
    parameters = parameters_of(PIPELINES["finetune"])
    assert [parameter.name for parameter in parameters] == sorted(parameter.name for parameter in parameters)
    by_name = {parameter.name: parameter for parameter in parameters}
    assert dataclasses.astuple(by_name["train_epochs"]) == (
        "train_epochs",
        "NUMBER_INTEGER",
        0,
        "Passes over the training documents; 0 chooses by layout and number of rows.",
        (),
    )
    assert by_name["data_uri"].default is None
    assert by_name["gpu_tolerations"].type == "LIST"
    assert by_name["data_layout"].choices[:3] == ("auto", "labelled", "pairs")


def test_written_file_has_the_choices_and_kfp_takes_it(tmp_path: Path, compiled: dict[str, list[Spec]]) -> None:
    path = tmp_path / "new" / "finetune.yaml"
    compile_pipeline(PIPELINES["finetune"], path, CompileOptions())
    spec, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    written = {key: entry.pop("literals") for key, entry in parameters_in(spec).items() if "literals" in entry}
    assert written == {key: list(map(str, values)) for key, values in PIPELINES["finetune"].literals.items()}
    assert [without_environment(spec), platform] == compiled["finetune"]
    loaded = components.load_component_from_file(str(path))
    assert sorted(loaded.component_spec.inputs) == sorted(parameters_in(spec))
    assert [entry.name for entry in path.parent.iterdir()] == ["finetune.yaml"]


def without_environment(spec: Spec) -> Spec:
    """Take away what only the written file says: the image that each task runs in, and the table of parameters."""
    spec["pipelineInfo"]["description"] = spec["pipelineInfo"]["description"].partition("\n\n|")[0]
    for executor in spec["deploymentSpec"]["executors"].values():
        del executor["container"]["env"]
    return spec

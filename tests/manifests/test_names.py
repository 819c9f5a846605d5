"""The names in the manifests are those that the compiled pipelines ask for."""

import re

import yaml

from components.images import DATA_IMAGE
from embedtune import __version__
from pipelines import task_options
from tests.manifests.rendering import MANIFESTS, Resource, needs_kubectl, one, render

SETTINGS_FILE = MANIFESTS / "base/embedtune.env"


def explained_settings() -> dict[str, tuple[str, str]]:
    """Return key -> (variable, value) of all settings, those included that are examples only."""
    found: dict[str, tuple[str, str]] = {}
    variable = ""
    for line in SETTINGS_FILE.read_text(encoding="utf-8").splitlines():
        if head := re.match(r"# \[(\w+)\] \S", line):
            variable = head[1]
        elif setting := re.fullmatch(r"(?:# )?([a-z0-9_]+)=(.+)", line):
            assert variable, f"{line} stands below no explanation of its own"
            found[setting[1]] = (variable, setting[2])
            variable = ""
    return found


def test_every_setting_is_explained_with_a_value() -> None:
    explained = {key: variable for key, (variable, _) in explained_settings().items()}
    assert explained == task_options.SETTINGS


@needs_kubectl
def test_the_map_is_the_one_that_the_steps_read() -> None:
    (found,) = [
        resource
        for resource in render(MANIFESTS / "base")
        if resource["kind"] == "ConfigMap" and resource["metadata"]["name"] == task_options.SETTINGS_CONFIG_MAP
    ]
    assert set(found["data"]) < set(task_options.SETTINGS)


@needs_kubectl
def test_steps_and_server_share_user_and_password() -> None:
    server = _server()
    from_secrets = {
        entry["name"]: (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for entry in server["env"]
    }
    steps = {variable: (task_options.MLFLOW_SECRET, key) for key, variable in task_options.MLFLOW_KEYS.items()}
    assert from_secrets["MLFLOW_AUTH_ADMIN_USERNAME"] == steps["MLFLOW_TRACKING_USERNAME"]
    assert from_secrets["MLFLOW_AUTH_ADMIN_PASSWORD"] == steps["MLFLOW_TRACKING_PASSWORD"]
    assert {from_secrets["AWS_ACCESS_KEY_ID"], from_secrets["AWS_SECRET_ACCESS_KEY"]} == {
        (task_options.STORE_SECRET, key) for key in task_options.STORE_KEYS
    }


@needs_kubectl
def test_no_step_gets_what_is_the_servers_alone() -> None:
    (from_secret,) = [source["secretRef"] for source in _server()["envFrom"] if "secretRef" in source]
    assert from_secret == {"name": "embedtune-mlflow-server"}
    assert from_secret["name"] not in (task_options.MLFLOW_SECRET, task_options.SETTINGS_CONFIG_MAP)


def test_the_keys_of_ones_own_store_are_those_of_the_steps() -> None:
    """For the user that components/minio makes, and for the launcher of components/external-store."""
    job = yaml.safe_load((MANIFESTS / "components/minio/setup.yaml").read_text(encoding="utf-8"))
    named = {
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]
        if entry["name"] in ("ACCESS_KEY", "SECRET_KEY")
    }
    launcher = yaml.safe_load((MANIFESTS / "components/external-store/kfp-launcher.yaml").read_text(encoding="utf-8"))
    reference = yaml.safe_load(launcher["data"]["providers"])["s3"]["default"]["credentials"]["secretRef"]
    keys = [key for key, variable in task_options.S3_KEYS.items() if variable != "AWS_SESSION_TOKEN"]
    assert named == {(task_options.S3_SECRET, key) for key in keys}
    assert [reference["secretName"], reference["accessKeyKey"], reference["secretKeyKey"]] == [
        task_options.S3_SECRET,
        *keys,
    ]


@needs_kubectl
def test_the_server_is_asked_for_under_a_name_that_it_allows() -> None:
    resources = render(MANIFESTS / "overlays/standalone")
    service = one(resources, "Service", "embedtune-mlflow")
    address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert one(resources, "ConfigMap", "embedtune")["data"]["mlflow_tracking_uri"] == f"http://{address}"
    allowed = one(resources, "ConfigMap", "embedtune-mlflow-server")["data"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert allowed.split(",") == [address, "localhost:5000"]


@needs_kubectl
def test_images_are_ours_in_this_version() -> None:
    assert _server()["image"] == f"embedtune-mlflow:{__version__}"
    job = yaml.safe_load((MANIFESTS / "components/minio/setup.yaml").read_text(encoding="utf-8"))
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == DATA_IMAGE


def _server() -> Resource:
    deployment = one(render(MANIFESTS / "overlays/standalone"), "Deployment", "embedtune-mlflow")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container

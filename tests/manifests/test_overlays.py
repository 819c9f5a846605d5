"""What is said by each overlay and component, and what they refuse."""

import difflib
from pathlib import Path

import pytest
import yaml

from tests.manifests.conftest import COMBINED, somebodys_folder
from tests.manifests.rendering import MANIFESTS, Resource, needs_kubectl, one, own_folder, refusal, render

pytestmark = needs_kubectl

PROFILE = "mlpipeline/private-artifacts/"


def rolebinding(resources: tuple[Resource, ...]) -> Resource:
    return one(resources, "RoleBinding", "embedtune-pod-reader")


def test_pipelines_of_their_own_run_as_pipeline_runner() -> None:
    resources = render(MANIFESTS / "overlays/standalone")
    assert rolebinding(resources)["subjects"] == [
        {"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}
    ]
    assert one(resources, "Role", "embedtune-pod-reader")["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    ]


def test_everything_of_a_profile_follows_from_its_namespace() -> None:
    namespace = "kubeflow-user-example-com"
    resources = render(MANIFESTS / "overlays/multi-user")
    assert rolebinding(resources)["subjects"] == [
        {"kind": "ServiceAccount", "name": "default-editor", "namespace": namespace}
    ]
    settings = one(resources, "ConfigMap", "embedtune")["data"]
    assert (settings["user"], settings["datasets"]) == (namespace, f"minio://{PROFILE}{namespace}/datasets")
    server = one(resources, "ConfigMap", "embedtune-mlflow-server")["data"]
    assert server["MLFLOW_ARTIFACTS_DESTINATION"] == f"s3://{PROFILE}{namespace}/mlflow"


def test_another_profile_on_top_is_another_profile(tmp_path: Path) -> None:
    """Where the transformer is listed again, the inner namespace is nowhere left."""
    resources = render(somebodys_folder(tmp_path, COMBINED["a profile with a MinIO of its own"]))
    assert "kubeflow-user-example-com" not in yaml.safe_dump_all(resources)
    assert one(resources, "ConfigMap", "embedtune")["data"]["datasets"] == f"minio://{PROFILE}team-a/datasets"


def test_openshift_differs_in_the_groups_of_volumes_only() -> None:
    plain, openshift = (
        yaml.safe_dump_all(render(MANIFESTS / "overlays" / name)).splitlines() for name in ("standalone", "openshift")
    )
    changed = [line for line in difflib.ndiff(plain, openshift) if line[0] in "+-"]
    assert [line.split() for line in changed] == [
        ["-", "fsGroup:", "1000"],
        ["-", "fsGroupChangePolicy:", "OnRootMismatch"],
    ]


def test_a_minio_without_an_image_is_not_rendered(tmp_path: Path) -> None:
    text = "namespace: kubeflow\nresources: [MANIFESTS/base]\ncomponents: [MANIFESTS/components/minio]\n"
    assert "nothing selected by ConfigMap.[noVer].[noGrp]/embedtune-minio.[noNs]:data.image" in refusal(
        own_folder(tmp_path, text)
    )


def test_a_minio_has_the_image_that_was_named(tmp_path: Path) -> None:
    resources = render(somebodys_folder(tmp_path, COMBINED["a profile with a MinIO of its own"]))
    (container,) = one(resources, "Deployment", "embedtune-minio")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/minio@sha256:" + "0" * 64


def test_an_external_store_without_an_address_is_not_rendered(tmp_path: Path) -> None:
    text = "namespace: kubeflow\nresources: [MANIFESTS/base]\ncomponents: [MANIFESTS/components/external-store]\n"
    assert "embedtune-external-store" in refusal(own_folder(tmp_path, text))


@pytest.mark.parametrize("disable_ssl", [True, False])
def test_the_launcher_is_pointed_at_the_store_that_was_named(tmp_path: Path, disable_ssl: bool) -> None:
    """The fields are those of backend/src/v2/config/s3.go, where disableSSL is a boolean."""
    text = "namespace: kubeflow\nresources: [MANIFESTS/base, store.yaml]\n"
    text += "components: [MANIFESTS/components/external-store]\n"
    folder = own_folder(tmp_path, text)
    named = {"bucket": "models", "endpoint": "https://s3.example.com:8443", "region": "eu-central-1"}
    named["disable_ssl"] = str(disable_ssl).lower()
    store = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "embedtune-external-store"}, "data": named}
    (folder / "store.yaml").write_text(yaml.safe_dump(store), encoding="utf-8")
    resources = render(folder)
    launcher = one(resources, "ConfigMap", "kfp-launcher")["data"]
    assert launcher["defaultPipelineRoot"] == "s3://models/v2/artifacts"
    secret = {
        "secretName": "embedtune-s3",
        "accessKeyKey": "AWS_ACCESS_KEY_ID",
        "secretKeyKey": "AWS_SECRET_ACCESS_KEY",
    }
    assert yaml.safe_load(launcher["providers"]) == {
        "s3": {
            "default": {
                "endpoint": "s3.example.com:8443",
                "region": "eu-central-1",
                "disableSSL": disable_ssl,
                "forcePathStyle": True,
                "credentials": {"fromEnv": False, "secretRef": secret},
            }
        }
    }
    settings = one(resources, "ConfigMap", "embedtune")["data"]
    assert (settings["s3_endpoint"], settings["s3_region"]) == ("https://s3.example.com:8443", "eu-central-1")


def test_a_setting_of_ones_own_joins_the_others(tmp_path: Path) -> None:
    resources = render(somebodys_folder(tmp_path, COMBINED["an MLflow that is there already"]))
    settings = one(resources, "ConfigMap", "embedtune")["data"]
    assert settings["mlflow_tracking_uri"] == "https://mlflow.example.com"
    assert settings["hf_hub_offline"] == "1"
    assert [resource["kind"] for resource in resources] == ["Role", "RoleBinding", "ConfigMap"]


def test_every_folder_is_known_here() -> None:
    """What is added is added to the tests as well."""
    folders = {path.parent.relative_to(MANIFESTS).as_posix() for path in MANIFESTS.rglob("kustomization.yaml")}
    components = {f"components/{name}" for name in ("argo-retries", "external-store", "minio", "mlflow", "quota")}
    overlays = {f"overlays/{name}" for name in ("multi-user", "openshift", "standalone")}
    assert folders == {"base", "transformers/profile"} | components | overlays


def test_retries_alone_are_not_rendered() -> None:
    """They change a map of Kubeflow's; made anew by `kubectl apply`, the map would lose its other keys."""
    refused = refusal(MANIFESTS / "components/argo-retries")
    assert "no matches for Id ConfigMap.v1.[noGrp]/workflow-controller-configmap.[noNs]" in refused

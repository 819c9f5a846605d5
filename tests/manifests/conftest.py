"""Every rendering that a rule is tested on: the overlays as they are, and what people make of the components."""

from pathlib import Path

import pytest

from tests.manifests.rendering import MANIFESTS, OVERLAYS, Resource, own_folder, render

STORE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: embedtune-external-store
data:
  bucket: models
  endpoint: http://embedtune-minio:9000
  region: us-east-1
  disable_ssl: "true"
"""
MINIO = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: embedtune-minio
data:
  image: registry.example.com/minio@sha256:{}
""".format("0" * 64)

COMBINED = {
    "a profile with a MinIO of its own": """\
namespace: team-a
resources: [MANIFESTS/overlays/multi-user, minio.yaml]
components: [MANIFESTS/components/minio]
transformers: [MANIFESTS/transformers/profile]
""",
    "everything beside Kubeflow": """\
namespace: kubeflow
resources: [MANIFESTS/overlays/standalone, minio.yaml, store.yaml]
components:
  - MANIFESTS/components/minio
  - MANIFESTS/components/external-store
  - MANIFESTS/components/quota
""",
    "a profile that uses another MLflow": """\
namespace: team-b
resources: [MANIFESTS/base]
transformers: [MANIFESTS/transformers/profile]
configMapGenerator:
  - name: embedtune
    behavior: merge
    literals: [mlflow_tracking_uri=https://mlflow.example.com]
""",
    "an MLflow that is there already": """\
namespace: kubeflow
resources: [MANIFESTS/base]
configMapGenerator:
  - name: embedtune
    behavior: merge
    literals: [mlflow_tracking_uri=https://mlflow.example.com]
""",
}


@pytest.fixture(scope="session", params=[*OVERLAYS, *COMBINED])
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Resource, ...]:
    """What a cluster would get."""
    if request.param in OVERLAYS:
        return render(MANIFESTS / "overlays" / request.param)
    return render(somebodys_folder(tmp_path_factory.mktemp("own"), COMBINED[request.param]))


def somebodys_folder(folder: Path, text: str) -> Path:
    """Write a kustomization with the files it may name."""
    (folder / "store.yaml").write_text(STORE, encoding="utf-8")
    (folder / "minio.yaml").write_text(MINIO, encoding="utf-8")
    return own_folder(folder, text)

"""What a step takes from its pod before anything else: its share of CPUs, proxies, and certificate authorities.

A pod's environment is that of Kubeflow's launcher as well, which must not be sent through a proxy or trust other
certificates for our sake: so these come under names of ours, or as files, and become the usual variables in the step's
process alone.
"""

import os
import tempfile
from pathlib import Path

import certifi

from embedtune.cpus import limit_threads

SETTINGS_FOLDER = Path("/etc/embedtune")
"""Where a pod has the config map of the settings as files."""
MLFLOW_FOLDER = Path("/etc/embedtune-mlflow")
"""Where a pod has the secret of the MLflow server as files."""
AUTHORITIES = "ca.crt"
"""Key in either: certificates of authorities, in PEM. Those of the settings are trusted beside the public ones,
those of the secret by MLflow's client alone."""
PROXIES = {
    "EMBEDTUNE_HTTP_PROXY": "http_proxy",
    "EMBEDTUNE_HTTPS_PROXY": "https_proxy",
    "EMBEDTUNE_NO_PROXY": "no_proxy",
}
"""Our variables and those that the libraries read; of the latter those in small letters go before the others."""

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_MLFLOW_AUTHORITIES = "MLFLOW_TRACKING_SERVER_CERT_PATH"


def take_surroundings(settings: Path = SETTINGS_FOLDER, mlflow: Path = MLFLOW_FOLDER) -> None:
    """Set the usual variables of this process by what the pod has; elsewhere nothing changes.

    Args:
        settings: See SETTINGS_FOLDER.
        mlflow: See MLFLOW_FOLDER.
    """
    limit_threads()
    for given, usual in PROXIES.items():
        if os.environ.get(given):
            os.environ[usual] = os.environ[given]
    if (settings / AUTHORITIES).is_file():
        bundle = _bundle(settings / AUTHORITIES)
        for name in _BUNDLES:
            os.environ[name] = bundle
    if (mlflow / AUTHORITIES).is_file():
        os.environ[_MLFLOW_AUTHORITIES] = str(mlflow / AUTHORITIES)


def _bundle(authorities: Path) -> str:
    """Write the public authorities and these to a file, for the libraries take one file and nothing beside it."""
    with tempfile.NamedTemporaryFile("wb", prefix="embedtune-", suffix=".pem", delete=False) as file:
        for part in (Path(certifi.where()), authorities):
            file.write(part.read_bytes() + b"\n")
    return file.name

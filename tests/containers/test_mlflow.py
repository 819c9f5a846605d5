"""The server's image: authentication, allowed hosts, artifacts, and what it says when something is missing."""

import pytest
from docker.errors import ContainerError

from tests.containers.conftest import ADMIN, SERVER

pytestmark = pytest.mark.containers
ASK = """
import base64, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
path, host, user = sys.argv[1:]
headers = {"Host": host, **({"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {})}
try:
    print(urlopen(Request("http://localhost:5000" + path, headers=headers)).status)
except HTTPError as error:
    print(error.code)
"""
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
USER = f"admin:{ADMIN['MLFLOW_AUTH_ADMIN_PASSWORD']}"


@pytest.mark.parametrize(
    ("path", "host", "user", "status"),
    [
        (SEARCH, "localhost:5000", USER, 200),
        (SEARCH, "localhost:5000", "", 401),
        (SEARCH, "localhost:5000", f"{USER}r", 401),
        (SEARCH, "elsewhere:5000", USER, 403),
        ("/health", "elsewhere:5000", "", 200),
        ("/", "localhost:5000", "", 401),
    ],
)
def test_who_is_let_in(run, path: str, host: str, user: str, status: int) -> None:
    assert int(run.server.exec_run(["python3", "-c", ASK, path, host, user]).output) == status


def test_what_is_missing_is_said_by_name(run_in) -> None:
    environment = {name: value for name, value in SERVER.items() if name != "MLFLOW_SERVER_ALLOWED_HOSTS"}
    with pytest.raises(ContainerError) as ended:
        run_in("mlflow", "python3", "/opt/serve_mlflow.py", environment=environment)
    assert ended.value.exit_status == 1
    assert ended.value.stderr.decode().startswith("MLFLOW_SERVER_ALLOWED_HOSTS is not set; it takes ")


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2", "sqlite"])
def test_the_driver_of_a_database_is_there(run_in, scheme: str) -> None:
    address = "sqlite://" if scheme == "sqlite" else f"{scheme}://user:password@host/name"
    run_in("mlflow", "python3", "-c", f"from sqlalchemy import create_engine; create_engine('{address}')")


def test_the_client_of_s3_is_there(run_in) -> None:
    run_in("mlflow", "python3", "-c", "import boto3")

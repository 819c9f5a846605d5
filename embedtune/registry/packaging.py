"""A model folder becomes a model that MLflow can load: an `MLmodel` file, its requirements and the serving script.

`mlflow.pyfunc.log_model` would need pandas, which mlflow-skinny does not bring, and would copy the weights once more
before it uploads them. The files written here are the ones it writes (a test compares them).
"""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from embedtune.errors import RegistryError
from embedtune.mlflow.layout import ARTIFACT, DESCRIPTION, DIGESTS, MODEL_FOLDER
from embedtune.models.card import ModelCard
from embedtune.progress import silent
from embedtune.registry.contents import model_files
from embedtune.storage.digests import file_sha256

_SCRIPT = "serving_model.py"
PACKAGE_FILES = (DESCRIPTION, "requirements.txt", "conda.yaml", "python_env.yaml", _SCRIPT)
"""Files of an MLflow model beside the model's own."""
_SERVED_WITH = ("mlflow", "numpy", "sentence-transformers", "torch", "transformers")


def write_package(target: Path, folder: Path, card: ModelCard, model_id: str, run_id: str) -> None:
    """Write everything of an MLflow model but the weights.

    Args:
        target: An empty folder.
        folder: The sentence-transformers folder, to be uploaded to `artifacts/model` beside these files.
        card: What is known about the model.
        model_id: MLflow's id of the logged model.
        run_id: The run the model belongs to.

    Raises:
        RegistryError: the version of a library that serving needs is not known.
    """
    import yaml

    requirements = requirement_lines(card, folder)
    python = platform.python_version()
    pip = ["pip", {"pip": requirements}]
    conda = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": [f"python={python}", *pip]}
    environment = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    (target / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    (target / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False), encoding="utf-8")
    (target / "python_env.yaml").write_text(yaml.safe_dump(environment, sort_keys=False), encoding="utf-8")
    (target / _SCRIPT).write_bytes(Path(__file__).with_name(_SCRIPT).read_bytes())
    description = _describe_model(folder, card, model_id, run_id)
    (target / DESCRIPTION).write_text(yaml.safe_dump(description), encoding="utf-8")


def _describe_model(folder: Path, card: ModelCard, model_id: str, run_id: str) -> dict[str, object]:
    from mlflow.models.model import Model

    paths = model_files(folder)
    digests = {path.relative_to(folder).as_posix(): file_sha256(path, silent) for path in paths}
    metadata = {**serving_facts(folder, card), DIGESTS: digests}
    model = Model(run_id=run_id, model_uuid=model_id, model_id=model_id, metadata=metadata)
    model.model_size_bytes = sum(path.stat().st_size for path in paths)
    model.add_flavor(
        "python_function",
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path=_SCRIPT,
        artifacts={ARTIFACT: {"path": MODEL_FOLDER, "uri": MODEL_FOLDER}},
        code=None,
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        python_version=platform.python_version(),
        streamable=False,
    )
    signature = {
        "inputs": json.dumps(_inputs(contents_read(folder))),
        "outputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, card.dimension]}}]),
        "params": None,
    }
    return {**model.to_dict(), "signature": signature}


def contents_read(folder: Path) -> list[str]:
    """Return what a model folder reads, of 'text', 'image' and 'points'."""
    if any(module["type"].endswith(".PointNet") for module in _modules(folder)):
        return ["points"]
    path = folder / "sentence_bert_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = config.get("modality_config", {"text": {}})
    return [name for name in ("text", "image") if name in found]


def _inputs(kinds: list[str]) -> list[dict[str, object]]:
    """Return the columns of the signature, of which a caller gives one."""
    if kinds == ["text"]:
        # One unnamed column: it takes a list as well as a DataFrame, a named one refuses the list (MLflow 3.17).
        return [{"type": "string", "required": True}]
    point = {"type": "array", "items": {"type": "double"}}
    types = {"points": {"type": "array", "items": point}}
    return [{**types.get(kind, {"type": "string"}), "name": kind, "required": len(kinds) == 1} for kind in kinds]


def _modules(folder: Path) -> list[dict[str, str]]:
    modules: list[dict[str, str]] = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    return modules


def requirement_lines(card: ModelCard, folder: Path) -> list[str]:
    """Return pinned requirements for serving: the versions the model was made with, else those installed here.

    Images need Pillow, and modules of our own embedtune, which is not needed otherwise.

    Args:
        card: What is known about the model.
        folder: The model.

    Raises:
        RegistryError: one is neither in the card nor installed.
    """
    names = list(_SERVED_WITH)
    if "image" in contents_read(folder):
        names.append("Pillow")
    if any(module["type"].startswith("embedtune.") for module in _modules(folder)):
        names.append("embedtune")
    return [f"{name}=={_version(name, card)}" for name in names]


def _version(name: str, card: ModelCard) -> str:
    if name == "mlflow":
        return version("mlflow-skinny")
    recorded = card.versions.get(name, card.versions.get(name.replace("-", "_")))
    try:
        found = version(name) if recorded is None else recorded
    except PackageNotFoundError as error:
        raise RegistryError(
            f"The version of {name!r} that the model was made with is not in its card and {name!r} is not installed "
            "here, so serving cannot be pinned to it. Register with the card that the fine-tuning step wrote."
        ) from error
    # A local part such as '+cpu' names a build that package indexes do not have.
    return found.partition("+")[0]


def serving_facts(folder: Path, card: ModelCard) -> dict[str, object]:
    """Return what whoever stores or compares the model's vectors must know."""
    config = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    return {
        "dimension": card.dimension,
        "max_length": card.max_length,
        "normalized": any(module["type"].endswith(".Normalize") for module in _modules(folder)),
        "contents": contents_read(folder),
        "similarity": config.get("similarity_fn_name"),
        "pooling": pooling_of(folder),
        "prompts": dict(sorted(config.get("prompts", {}).items())),
    }


def pooling_of(folder: Path) -> str:
    """Return how a model makes one vector of those of its tokens, such as 'mean' or 'gem'; 'none' where it has no such.

    Args:
        folder: The model.
    """
    for module in _modules(folder):
        name = module["type"].rpartition(".")[2]
        if name == "GeM":
            return "gem"
        if name == "Pooling":
            config = json.loads((folder / module["path"] / "config.json").read_text(encoding="utf-8"))
            modes = config["pooling_mode"]
            return modes if isinstance(modes, str) else "+".join(modes)
    return "none"

"""An embedding model becomes a folder that sentence-transformers and the common embedding servers read alike.

sentence-transformers 5.4 changed the class names in `modules.json` and the keys of the pooling configuration.
text-embeddings-inference 1.9 and vLLM (before vllm-project/vllm#54533) read only the older form: they refuse the new
one or, worse, pool wrongly. sentence-transformers 6 reads both, so the older form is written beside the new keys.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError, StorageError
from embedtune.models.own_modules import OWN_MODULES
from embedtune.models.servers import SERVED_MODULES
from embedtune.storage.atomic import atomic_folder

_LIBRARY = "sentence_transformers."

_POOLING_FLAGS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
"""Pooling modes of sentence-transformers 6 and the flag each had before."""


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Write a folder beside its place and move it there when the block ends without an error.

    Args:
        target: Where the folder shall be; one that is already there is replaced.

    Yields:
        The folder to write to. After an error it is removed, and whatever was at `target` is untouched.

    Raises:
        StorageError: the folder cannot be written: no space, no permission.
    """
    try:
        with atomic_folder(target) as folder:
            yield folder
    except SafetensorError as error:
        raise StorageError(
            f"{target} cannot be written: {error}. Give a folder on a disk with enough free space."
        ) from error


def save_model(model: SentenceTransformer, folder: Path) -> None:
    """Write a model as safetensors; one of texts in the layout that servers read as far as they can.

    Args:
        model: The model.
        folder: Where to write it; see `whole_folder`.

    Raises:
        ModelError: the model has a module that could not be loaded again without code of its own.
    """
    for module in model:
        name = f"{type(module).__module__}.{type(module).__qualname__}"
        if name not in OWN_MODULES and not name.startswith(_LIBRARY):
            raise ModelError(
                f"The model has a {type(module).__name__!r} module, which cannot be loaded again without running code "
                "that comes with the model. Use a backbone made of the modules of sentence-transformers."
            )
    model.save(str(folder), safe_serialization=True, create_model_card=False)
    for weights in folder.rglob("*.safetensors"):  # safetensors keeps others from reading them
        shutil.copymode(folder / "modules.json", weights)
    if set(model.modalities) == {"text"}:
        _write_served_modules(folder)
        _write_served_transformer(folder, model)


def _write_served_modules(folder: Path) -> None:
    path = folder / "modules.json"
    modules = json.loads(path.read_text(encoding="utf-8"))
    for module in modules:
        name = module["type"].rpartition(".")[2]
        if name in SERVED_MODULES:
            module["type"] = f"sentence_transformers.models.{name}"
        if name == "Pooling":
            _write_served_pooling(folder / module["path"] / "config.json")
    path.write_text(json.dumps(modules, indent=2), encoding="utf-8")


def _write_served_pooling(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    modes = config["pooling_mode"]
    chosen = {modes} if isinstance(modes, str) else set(modes)
    config["word_embedding_dimension"] = config["embedding_dimension"]
    config.update({flag: mode in chosen for mode, flag in _POOLING_FLAGS.items()})
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


def _write_served_transformer(folder: Path, model: SentenceTransformer) -> None:
    path = folder / "sentence_bert_config.json"
    if not path.is_file():  # a model without a transformer
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    config["max_seq_length"] = model.max_seq_length
    config["do_lower_case"] = False  # the tokenizer folds case by itself where it should
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")

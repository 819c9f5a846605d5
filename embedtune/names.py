"""Names that people know from elsewhere or mistype, and what they are called here."""

import difflib
from collections.abc import Iterable

_ELSEWHERE = {
    "dialect": "delimiter delim sep separator field_separator quotechar quote quoting escapechar lineterminator",
    "encoding": "charset codec file_encoding",
    "columns": "column cols usecols text_column label_column text_col label_col column_names names fields",
    "header": "has_header skip_header header_row",
    "size": "nrows limit max_rows num_rows max_samples max_train_samples sample",
    "sampling_rate": "sample_rate frac fraction subsample",
    "learning_rate": "lr learningrate step_size",
    "epochs": "epoch num_epochs n_epochs max_epochs num_train_epochs",
    "batch_size": "bs batch batchsize per_device_train_batch_size train_batch batch_sz",
    "items_per_label": "num_items_per_class samples_per_class items_per_class samples_per_label",
    "backbone": "model base_model model_name_or_path model_name_or_id pretrained pretrained_model checkpoint",
    "max_length": "max_seq_length max_seq_len max_tokens maxlen max_len",
    "warmup": "warmup_ratio warmup_steps num_warmup_steps",
    "optimizer": "optim optimiser",
    "min_gain": "eval_min_gain",
    "loss": "criterion loss_fn loss_function",
    "seed": "random_state random_seed rng",
    "eval_share": "test_size val_size eval_size test_share val_share validation_split val_split split_ratio test_ratio",
    "metric": "metrics score monitor",
    "gpu_count": "device devices gpu gpus cuda num_gpus n_gpu use_gpu accelerator",
    "model_name": "name run_name registered_model_name",
    "experiment": "experiment_name project",
    "uri": "data input csv file path source dataset train_data train_file data_path training_data",
    "output": "out outdir out_dir output_dir output_path save_dir save_to o",
    "overwrite": "force replace clobber exist_ok overwrite_output_dir",
    "limit": "k top_k topk n num_results",
}
_LIKENESS = 0.75
"""Of difflib, from 0 to 1: one letter in eight may differ, be missing or too much."""


def similar_names(word: str, names: Iterable[str]) -> list[str]:
    """Return which names somebody may have meant who wrote a word that is none of them.

    Args:
        word: With underscores; what other tools call it, the end of a name, or a misspelling.
        names: What there is.
    """
    known = list(names)
    meant = [word, *(name for name, words in _ELSEWHERE.items() if word in words.split())]
    # The first word of most names is that of their group.
    for one in meant:
        if whole := [name for name in known if one in (name, name.partition("_")[2])]:
            return whole
    for one in meant:
        if ends := [name for name in known if name.endswith(f"_{one}")]:
            return ends
    close = {name: name for name in known} | {name.partition("_")[2]: name for name in known if "_" in name}
    return list(dict.fromkeys(close[one] for one in difflib.get_close_matches(word, close, 3, _LIKENESS)))

"""Thin component of `embedtune.steps.resolve_data`."""

from typing import Dict, List, NamedTuple

from components.images import data_component


@data_component
def resolve_data(
    data_uri: str,
    data_layout: str = "auto",
    data_csv_options: str = "{}",
    data_max_bad_share: float = 0.01,
    model_backbone: str = "sentence-transformers/all-MiniLM-L6-v2",
    model_max_length: int = 128,
    model_options: str = "{}",
    train_loss: str = "auto",
    train_epochs: int = 0,
    train_batch_size: int = 64,
    train_learning_rate: float = 0.0,
    train_seed: int = 42,
    train_options: str = "{}",
    train_cpu: str = "1",
    train_memory: str = "8Gi",
    eval_share: float = 0.2,
    eval_split: str = "auto",
    eval_metric: str = "ndcg_at_10",
    eval_options: str = "{}",
    register_model_name: str = "embeddings",
    register_experiment: str = "embedtune",
    register_min_gain: float = 0.0,
    register_min_lower_bound: float = 0.0,
    gpu_count: str = "0",
    gpu_type: str = "nvidia.com/gpu",
    gpu_node_selector: Dict[str, str] = {},  # noqa: B006 - kfp reads it, nothing changes it
    gpu_tolerations: List[Dict[str, str]] = [  # noqa: B006
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ],
    train_grid: str = "{}",
    by_file: bool = False,
    sweep: bool = False,
) -> NamedTuple(
    "Versions",
    [
        ("data_version", str),
        ("backbone_version", str),
        ("champion", str),
        ("evaluation_versions", str),
        ("started", str),
        ("evaluation_gpus", str),
        ("node_selector", Dict[str, str]),
        ("tolerations", List[Dict[str, str]]),
        ("Output", List[Dict[str, str]]),
    ],
):
    """Check every parameter of the run, and find out the versions of what it starts from.

    A parameter that a later step would refuse is refused here, before a GPU is waited for. Never cached: every later
    step is cached on the versions, so a schedule retrains exactly when one of them changed.

    Args:
        data_uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.
        data_layout: What a row of a CSV is; 'auto' detects it.
        data_csv_options: JSON object with any of the fields of CSVOptions, such as dialect, header or task.
        data_max_bad_share: Largest accepted share of rows that cannot be used, 0 to 1.
        model_backbone: Model to start from: one of `embedtune models`, a Hugging Face id, a folder or its address.
        model_max_length: Tokens after which a text is cut; 0 keeps the backbone's own limit.
        model_options: JSON object with any of the fields of ModelOptions, such as pooling, output_dim or freeze.
        train_loss: Loss by name; 'auto' chooses by layout and labels. docs/defaults.md has the rules.
        train_epochs: Passes over the training documents; 0 chooses by layout and number of rows.
        train_batch_size: Contents per optimizer step, 4 or more; 0: what fits into a GPU, 64 on a CPU.
        train_learning_rate: Peak learning rate; 0 chooses by the size of the backbone and the optimizer.
        train_seed: Seed of split, batches, dropout and bootstrap.
        train_options: JSON object with any of the fields of TrainOptions, such as optimizer, warmup or augment.
        train_cpu: Cores for the pods of training and evaluation, such as '4' or '500m'; not used without a cluster.
        train_memory: Memory for each of them, /dev/shm counted in, such as '16Gi'; not used without a cluster.
        eval_share: Share of the documents to hold out for evaluation, above 0 and below 1.
        eval_split: 'auto', 'stratified' (new rows of known labels) or 'group' (whole labels or connected pairs).
        eval_metric: Metric that decides about promotion, such as ndcg_at_10 or map_at_20.
        eval_options: JSON object with any of the fields of EvalOptions, such as cutoffs, distance or batch_size.
        register_model_name: Name of the registered model in MLflow.
        register_experiment: MLflow experiment of the run.
        register_min_gain: Least gain of eval_metric, 0 to 1, for a promotion.
        register_min_lower_bound: Bound, 0 to 1, that the gain's interval must lie above, for a promotion.
        gpu_count: Number of GPUs for training and evaluation; '0' uses the CPU.
        gpu_type: Resource name of the GPU.
        gpu_node_selector: Labels a GPU node must have.
        gpu_tolerations: Taints of GPU nodes to tolerate.
        train_grid: JSON object with lists of values to try, such as {"train_epochs": [5, 10]}; {} tries three rates.
        by_file: Whether each file is read by a task of its own, as in finetune-sharded.
        sweep: Whether the combinations of train_grid are trained, as in the pipeline sweep.

    Returns:
        data_version: sha256 of a file or of several, or etag and size of an object.
        backbone_version: sha256 of a folder or prefix, commit on the hub, or version in MLflow; '' if not known.
        champion: The registered version that is champion; '' where there is none or it is not known.
        evaluation_versions: JSON object with the version of each of the evaluations by its name.
        started: When the run began, in ISO 8601 and UTC.
        evaluation_gpus: GPUs for the evaluation, which uses one at most; '0' on the CPU.
        node_selector: gpu_node_selector, or no label for a run on the CPU.
        tolerations: gpu_tolerations, or none for a run on the CPU.
        Output: Of a sweep the combinations of settings; kfp.local 2.17 loops over no output of another name.
    """
    from embedtune.steps.last_words import leave_last_words
    from embedtune.steps.resolve_data import resolve_data as step
    from embedtune.steps.run_parameters import RunParameters

    leave_last_words("resolve_data")
    config = RunParameters(
        data_uri=data_uri,
        data_layout=data_layout,
        data_csv_options=data_csv_options,
        data_max_bad_share=data_max_bad_share,
        model_backbone=model_backbone,
        model_max_length=model_max_length,
        model_options=model_options,
        train_loss=train_loss,
        train_epochs=train_epochs,
        train_batch_size=train_batch_size,
        train_learning_rate=train_learning_rate,
        train_seed=train_seed,
        train_options=train_options,
        train_cpu=train_cpu,
        train_memory=train_memory,
        eval_share=eval_share,
        eval_split=eval_split,
        eval_metric=eval_metric,
        eval_options=eval_options,
        register_model_name=register_model_name,
        register_experiment=register_experiment,
        register_min_gain=register_min_gain,
        register_min_lower_bound=register_min_lower_bound,
        gpu_count=gpu_count,
        gpu_type=gpu_type,
        gpu_node_selector=gpu_node_selector,
        gpu_tolerations=gpu_tolerations,
        train_grid=train_grid,
        by_file=by_file,
        sweep=sweep,
    )
    found = step(config)
    return (
        found.data_version,
        found.backbone_version,
        found.champion,
        found.evaluation_versions,
        found.started,
        found.evaluation_gpus,
        found.node_selector,
        found.tolerations,
        found.candidates,
    )

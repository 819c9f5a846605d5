"""What every pipeline asks for: its parameters with their defaults, and how one with a further parameter is made."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Dict, List


def form(
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
) -> None:
    """Fine-tune an embedding model on a CSV, measure it against the model it started from, and register it.

    The tuned model becomes champion only if it is better on held-out data with the confidence interval above zero.

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
    """


GRID = inspect.Parameter("train_grid", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="{}", annotation=str)
GRID_TEXT = 'JSON object with lists of values to try, such as {"train_epochs": [5, 10]}; {} tries three rates.'


def with_form(
    add_tasks: Callable[[Dict[str, Any]], Any], outputs: type, *further: tuple[inspect.Parameter, str]
) -> Callable[..., Any]:
    """Return a pipeline's function with the parameters of the form, as kfp reads it: by signature and docstring.

    Args:
        add_tasks: Adds the tasks; gets the parameters by their names, and returns the pipeline's outputs.
        outputs: The type of these.
        further: Parameters that this pipeline has beside those of the form, each with what it is.
    """
    signature = inspect.signature(form)
    parameters = [*signature.parameters.values(), *(parameter for parameter, _ in further)]

    @functools.wraps(form)
    def pipeline(*values: Any) -> Any:
        return add_tasks(dict(zip((parameter.name for parameter in parameters), values, strict=True)))

    pipeline.__signature__ = signature.replace(parameters=parameters, return_annotation=outputs)  # type: ignore[attr-defined]
    pipeline.__doc__ = "\n".join([inspect.getdoc(form), *(f"    {one.name}: {text}" for one, text in further)])
    return pipeline

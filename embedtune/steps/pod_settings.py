"""What a run asks of the cluster for its pods, refused here where Kubernetes would refuse the pod much later."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from embedtune.errors import ConfigError
from embedtune.names import similar_names

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_OF_DOMAIN = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"(?=[^/]{{1,253}}/){_LABEL_OF_DOMAIN}(?:\.{_LABEL_OF_DOMAIN})*"
_RESOURCE = re.compile(f"{_DOMAIN}/{_NAME}", re.ASCII)
_LABEL = re.compile(f"(?:{_DOMAIN}/)?{_NAME}", re.ASCII)
_VALUE = re.compile(f"(?:{_NAME})?", re.ASCII)
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_SECONDS = "tolerationSeconds"
_TOLERATION = ("key", "operator", "value", "effect", _SECONDS)
"""Fields of a toleration: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#scheduling"""

_QUANTITY = re.compile(
    r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?", re.ASCII
)
_DECIMALS = dict(zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True))
_BINARIES: dict[str, int] = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}
"""https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

_LEAST_CORES, _MOST_CORES = Decimal("0.001"), 10_000
"""Kubernetes knows no smaller part of a core, and no node with more: an amount of memory in the wrong place has."""
_LEAST_MEMORY = 1024**3
"""Bytes. PyTorch alone takes half of it."""


def check_cpu(name: str, value: str) -> None:
    """Check a number of cores.

    Args:
        name: Of the parameter.
        value: As Kubernetes writes it.

    Raises:
        ConfigError: it is none.
    """
    cores = _amount(value)
    if cores is None or not _LEAST_CORES <= cores <= _MOST_CORES:
        raise ConfigError(
            f"{name} is {value!r}; accepted: cores of one node, such as '4', '0.5' or '500m' (half of one)."
        )


def check_memory(name: str, value: str) -> None:
    """Check an amount of memory.

    Args:
        name: Of the parameter.
        value: As Kubernetes writes it.

    Raises:
        ConfigError: it is none, or a training cannot even start in it.
    """
    size = _amount(value)
    if size is None or size < _LEAST_MEMORY:
        raise ConfigError(f"{name} is {value!r}; accepted: 1Gi or more, with its unit, such as '16Gi'.")


def _amount(value: str) -> Decimal | None:
    """Return what a quantity of Kubernetes stands for, None where it is none."""
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return None
    number, binary, decimal, exponent = found.groups()
    if binary:
        return Decimal(number) * _BINARIES[binary]
    return Decimal(number).scaleb(_DECIMALS[decimal] if decimal else int(exponent or 0))


def check_gpu_type(gpu_type: str) -> None:
    """Check the name of a resource that a device plugin offers.

    Raises:
        ConfigError: Kubernetes knows no such names.
    """
    if not _RESOURCE.fullmatch(gpu_type):
        raise ConfigError(
            f"gpu_type is {gpu_type!r}; accepted: the name of a resource of the cluster's nodes, such as "
            "nvidia.com/gpu or amd.com/gpu; 'kubectl describe node' names them."
        )


def is_label(name: str, value: str) -> bool:
    """Tell whether Kubernetes takes a name and a value for a label."""
    return bool(_LABEL.fullmatch(name) and _VALUE.fullmatch(value))


def check_node_selector(labels: Mapping[str, str]) -> None:
    """Check the labels that a GPU node must have.

    Raises:
        ConfigError: a name or value can be no label of a node.
    """
    for name, value in labels.items():
        if not isinstance(value, str) or not is_label(name, value):
            raise ConfigError(
                f"gpu_node_selector is {dict(labels)!r}, of which {name!r}: {value!r} is no label; accepted: a name "
                "and a text of up to 63 letters, digits, '-', '_' and '.' each, the name perhaps with a domain and '/' "
                'before it, such as {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}. '
                "'kubectl get nodes --show-labels' shows them."
            )


def check_tolerations(tolerations: Sequence[Mapping[str, object]]) -> None:
    """Check the taints that the pods of training and evaluation tolerate.

    Raises:
        ConfigError: one is no toleration that Kubernetes accepts.
    """
    for toleration in tolerations:
        fault = _wrong_field(toleration) or _wrong_together(toleration)
        if fault:
            raise ConfigError(
                f"gpu_tolerations has {toleration!r}, {fault}; accepted: objects such as "
                '{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}.'
            )


def _wrong_field(toleration: object) -> str:
    """Say which field of a toleration there is not, or holds another type; '' where all are right."""
    if not isinstance(toleration, Mapping):
        return "which is no object"
    for name, value in toleration.items():
        if name not in _TOLERATION:
            near = similar_names(name, _TOLERATION)
            perhaps = f" (perhaps {near[0]!r} is meant)" if near else ""
            return f"whose key {name!r} is none of {', '.join(_TOLERATION)}{perhaps}"
        if name == _SECONDS and not _is_whole(value):
            return f"whose {name} is no whole number"
        if name != _SECONDS and not isinstance(value, str):
            return f"whose {name} is no text"
    return ""


def _is_whole(value: object) -> bool:
    """Tell whether a number is whole; that of a list in a pipeline's parameter arrives as 300.0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _wrong_together(toleration: Mapping[str, object]) -> str:
    """Say what of a toleration Kubernetes refuses, '' where nothing is."""
    key, operator, value, effect = (str(toleration.get(name, "")) for name in _TOLERATION[:4])
    faults = (
        (operator not in ("", *_OPERATORS), f"whose operator is none of {', '.join(_OPERATORS)}"),
        (effect not in ("", *_EFFECTS), f"whose effect is none of {', '.join(_EFFECTS)}"),
        (bool(key) and not _LABEL.fullmatch(key), "whose key can be no taint's"),
        (not key and operator != "Exists", "which names no key, and so needs the operator Exists"),
        (operator == "Exists" and bool(value), "whose operator Exists takes no value"),
        (not _VALUE.fullmatch(value), "whose value can be no taint's"),
        (_SECONDS in toleration and effect != "NoExecute", f"whose {_SECONDS} need the effect NoExecute"),
    )
    return next((fault for found, fault in faults if found), "")

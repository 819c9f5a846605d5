"""Comparisons of a tuned model with its base alone, as the versions wrote them that knew no further sides."""

from collections.abc import Mapping
from typing import Any

_TEXTS = ("query_texts", "index_texts")


def of_two_models(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of such a comparison in the present form.

    Args:
        data: Content of the file. That of embedtune 0.1 has neither ids nor kinds.

    Raises:
        KeyError: a field is missing.
        TypeError: a part has another form.
    """
    kinds = {"query": data.get("query_kind", "text"), "index": data.get("index_kind", "text")}
    examples, contents = _examples(data["examples"], kinds)
    return {
        **data,
        "sides": [_base(data), _tuned(data)],
        **_measured(data, data["queries"], data.get("pairs", 0)),
        "decision": _decision(data["decision"]),
        "examples": examples,
        "contents": [{"kind": kind, "id": identifier, "text": text} for (kind, identifier), text in contents.items()],
        "directions": [{**each, **_measured(each, each["queries"], 0)} for each in data.get("directions", ())],
    }


def _base(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_unnamed("base", data),
        "mean_cosine": data.get("base_mean_cosine"),
        **{name: data.get(f"base_{name}") for name in _TEXTS},
        "known_queries": data.get("known_queries", 0),
        "known_index": data.get("known_index", 0),
    }


def _tuned(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_unnamed("tuned", data),
        "mean_cosine": data["tuned_mean_cosine"],
        **{name: data.get(name) for name in _TEXTS},
        "seen_queries": data.get("seen_queries", 0),
        "seen_index": data.get("seen_index", 0),
    }


def _unnamed(side: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": side, "model": "", "dimension": 0, "tied_queries": data[f"{side}_tied_queries"]}


def _measured(data: Mapping[str, Any], queries: int, pairs: int) -> dict[str, Any]:
    differences = [
        {
            "metric": metric["name"],
            "side": "tuned",
            "against": "base",
            "of_side": metric["tuned"],
            "of_against": metric["base"],
            "value": metric["difference"],
            "lower": metric["lower"],
            "upper": metric["upper"],
            # What is no metric of a query is a correlation over the pairs.
            "units": queries if "_at_" in metric["name"] else pairs,
            "unit": "queries" if "_at_" in metric["name"] else "pairs",
        }
        for metric in data["metrics"]
    ]
    values = [
        {"name": metric["name"], "values": {"base": metric["base"], "tuned": metric["tuned"]}}
        for metric in data["metrics"]
    ]
    return {"metrics": values, "differences": differences}


def _decision(data: Mapping[str, Any]) -> dict[str, Any]:
    better = data["better"] if "better" in data else data["promoted"]
    return {**data, "better": better, "better_than_base": better, "reasons": [] if better else [data["reason"]]}


def _examples(
    examples: list[Mapping[str, Any]], kinds: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[tuple[str, str], str]]:
    """Return examples that refer to contents, and the text of each of these by kind and id."""
    contents: dict[tuple[str, str], str] = {}

    def refer(kind: str, content: Mapping[str, Any], text: str) -> dict[str, str]:
        identifier = content.get("id", "")
        identifier = identifier if identifier else text  # embedtune 0.1 kept no ids
        contents[kind, identifier] = text
        return {"kind": kind, "id": identifier}

    def hit(found: Mapping[str, Any]) -> dict[str, Any]:
        facts = {name: found[name] for name in ("rank", "score", "relevant")}
        return {**facts, **refer(kinds["index"], found, found["text"])}

    made = [
        {
            **refer(kinds["query"], example, example["query"]),
            "label": example["label"],
            "results": [
                {"side": side, "ndcg": example[f"{side}_ndcg"], "hits": [hit(found) for found in example[side]]}
                for side in ("base", "tuned")
            ],
        }
        for example in examples
    ]
    return made, contents

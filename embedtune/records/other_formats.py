"""Tell JSON and HTML that are given as CSV."""

import json
import re

_HTML = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)
_INDENTED_JSON = re.compile(r"(\[\s*)?\{\s*\n\s*\"|\[\s*\n\s*\{")
_LONG_ARRAY = re.compile(r"\[\s*\{\s*\"")


def other_format(text: str) -> str:
    """Say what a text is that is no CSV, and what to do with it; '' where nothing speaks against a CSV.

    Args:
        text: The beginning of a file.
    """
    text = text.lstrip()
    if _HTML.match(text):
        return "an HTML page, perhaps that of a login or an error; download the file itself"
    if not text.startswith(("{", "[")):
        return ""
    first, end, _ = text.partition("\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return "JSON lines; export it as CSV, or give a BEIR folder"
    objects = isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    if objects or _INDENTED_JSON.match(text) or (not end and _LONG_ARRAY.match(text)):
        return "JSON; export it as CSV"
    return ""

"""Scripts that a page holds itself, and what its policy has to say for a browser to run them and no other."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup

from embedtune.reports.rendering import TEMPLATES, trusted


@dataclass(frozen=True)
class Script:
    """One script of the page."""

    text: Markup
    """What stands between the tags, to the letter."""
    source: Markup
    """How the policy names it: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""


@cache
def inline_script(name: str) -> Script:
    """Read a script.

    Args:
        name: File name in `templates/`.
    """
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
    return Script(trusted(text), trusted(f"'sha256-{digest}'"))

"""The page itself: figures and pictures as data, and a program that shows them.

Everything is in the one file and nothing is loaded from elsewhere, so it opens from a disk as well as from a
server. Names and texts of the scene are data that the program writes as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from gspc.pipeline.report.album import SHADES, WHITE_AT, Album


def report_page(figures: dict[str, Any], album: Album, warnings: Sequence[str] = ()) -> str:
    """The page as HTML. `figures`: an evaluation as --json writes it."""
    from gspc import __version__

    shown = figures | {
        "version": __version__,
        "warnings": list(warnings),
        "pictures": album.pictures(),
        "shades": ["#" + bytes(shade).hex() for shade in SHADES],
        "whiteAt": WHITE_AT,
    }
    program, style = _part("page.js"), _part("page.css")
    # Without "<" no text of the data can end the element that it stands in.
    data = json.dumps(shown, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    rules = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(program)}"
    values = {
        "title": html.escape(f"{figures['source']} against {figures['data']}"),
        "rules": html.escape(rules),
        "style": style,
        "data": data,
        "program": program,
    }
    text = _part("page.html")
    for name, value in values.items():
        text = text.replace(f"<!--{name}-->", value, 1)
    return text


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The one text that a browser may run or apply, as its rules name it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

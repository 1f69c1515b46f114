"""What the site is made of besides its Markdown: man pages, which pandoc turns into HTML, and the examples of
docstrings.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import griffe
import pypandoc
from mkdocs.structure.files import File, Files

MAN = Path(__file__).resolve().parent
COMMANDS = "reference/commands"
FORMATS = {"pcgs": "reference/format.md", "pcgsx": "reference/index-format.md"}
TITLES = {"pcgs": "The format", "pcgsx": "The index of tiles"}


def pages() -> dict[str, Path]:
    """Address of each page in the site, and the man page that it is made of."""
    found = {f"{COMMANDS}/{path.stem}.md": path for path in sorted(MAN.glob("*.1"))}
    return {**found, **{address: MAN / f"{name}.5" for name, address in FORMATS.items()}}


def on_files(files: Files, config: Any) -> Files:
    """Adds a page for every man page."""
    for address, path in pages().items():
        files.append(File.generated(config, address, content=as_markdown(path, address)))
    return files


def as_markdown(path: Path, address: str) -> str:
    """A man page as Markdown: headings, and between them HTML, which Markdown leaves as it is."""
    body = pypandoc.convert_file(str(path), "html", format="man", extra_args=["--wrap=none"])
    body = re.sub(r"<h([12])>(.*?)</h\1>", _heading, body, flags=re.DOTALL)
    name = TITLES.get(path.stem) or path.stem.replace("gspc-", "gspc ", 1)
    return f"# {name}\n\n{_linked(body, address)}"


def _heading(found: re.Match[str]) -> str:
    """Man pages shout their titles."""
    text = html.unescape(found[2])
    level = "##" if found[1] == "1" else "###"
    return f"\n\n{level} {text.capitalize() if text.isupper() else text}\n\n"


def _linked(body: str, address: str) -> str:
    """References such as pcgs(5) and gspc-fit(1), of which there is a page, as links."""

    def link(found: re.Match[str]) -> str:
        name, section = found[1], found[2]
        target = FORMATS.get(name, "") if section == "5" else f"{COMMANDS}/{name}.md"
        if target not in pages() or target == address:
            return found[0]
        relative = os.path.relpath(target, PurePosixPath(address).parent).removesuffix(".md") + ".html"
        return f'<a href="{relative}">{name}({section})</a>'

    return re.sub(r"(?:<strong>)?\b(gspc(?:-[a-z]+)*|pcgsx?)(?:</strong>)?\((1|5)\)", link, body)


class Examples(griffe.Extension):
    """Examples in docstrings stand there bare, as doctest reads them; Markdown would take >>> for quotes."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Puts the example of a docstring into a fence."""
        if obj.docstring is not None:
            found = re.sub(
                r"^>>> .*?(?=\n\n|\Z)", _fenced, obj.docstring.value, flags=re.DOTALL | re.MULTILINE
            )
            obj.docstring.value = found


def _fenced(found: re.Match[str]) -> str:
    return f"```pycon\n{found[0]}\n```"

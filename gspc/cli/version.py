"""`gspc --version -v`: backends, instruction set, libraries and their licenses."""

from __future__ import annotations

from gspc import __version__
from gspc.cli import console


def show() -> None:
    """Prints the listing on stdout."""
    from gspc.pipeline.about import about

    found = about()
    libraries = console.table("Libraries", "name", "version", "license", "missing: pip install")
    for library in found.libraries:
        missing = f"'gspc[{library.extra}]'" if library.version is None and library.extra else ""
        libraries.add_row(library.name, library.version or "-", library.license, missing)
    console.show(f"gspc {__version__}", console.facts(found.facts.items()), libraries)

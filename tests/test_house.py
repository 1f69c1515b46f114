"""The house keeps its measure: files and functions that can be read in one go, and no import circles."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from test_architecture import PACKAGE, imports, module_of

ROOT = PACKAGE.parent
SUFFIXES = (".py", ".cpp", ".hpp", ".h", ".c", ".cu", ".cuh", ".mjs")
MOST_LINES, MEDIAN_LINES = 400, 120
MOST_LINES_OF_A_FUNCTION, MEDIAN_LINES_OF_A_FUNCTION = 80, 8


def written_by_hand() -> list[Path]:
    """Sources of package, kernels and tests; tables that programs wrote are .inc files."""
    found = [path for room in ("gspc", "kernels", "tests") for path in (ROOT / room).rglob("*")]
    return sorted(path for path in found if path.suffix in SUFFIXES and path.is_file())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function of a Python file."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_files_can_be_read_in_one_go() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in written_by_hand()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}
    assert statistics.median(lines.values()) <= MEDIAN_LINES


def test_functions_can_be_seen_at_once() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{name}": count
        for path in written_by_hand()
        if path.suffix == ".py"
        for name, count in functions(path)
    }
    assert {name: count for name, count in found.items() if count > MOST_LINES_OF_A_FUNCTION} == {}
    assert statistics.median(found.values()) <= MEDIAN_LINES_OF_A_FUNCTION


def import_graph() -> dict[str, set[str]]:
    """Which modules of the package each of them imports anywhere, inside functions and for types only too."""
    paths = {
        f"gspc.{module_of(path)}".removesuffix("."): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    }
    return {
        module: {name for _, name in imports(path) if name in paths and name != module}
        for module, path in paths.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_import_circles() -> None:
    graph = import_graph()
    assert any("gspc.errors" in found for found in graph.values())
    assert circle(graph) == []


def test_circles_are_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}


def test_nothing_installed_needs_the_readable_decoder() -> None:
    users = {
        module
        for module, found in import_graph().items()
        if not module.startswith("gspc.reference")
        and any(name.startswith("gspc.reference") for name in found)
    }
    assert users == set()

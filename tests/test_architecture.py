"""Who may import whom: the table of rooms, read from the imports themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "gspc"
FOR_EVERYONE = ("choices", "errors", "extras", "rotations", "scene")

# room -> the rooms it may import, besides itself and those that everyone may.
# `codec.export` is the part of the codec that may know the model and how its networks round, `codec.torchac`
# the one that wraps that package, `pipeline.versions` asks the kernels what they run on. `format` says what a
# stream is, in plain numbers, for both sides of the codec. `reference` is the readable decoder that tests
# hold the core against. Training calls the fused loss and heads of ops itself.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "extras": set(),
    "scene": set(),
    "rotations": set(),
    "choices": set(),
    "config": {"presets", "recipe", "switches"},
    "recipe": {"format"},
    "presets": {"recipe"},
    "switches": {"presets", "recipe"},
    "output": set(),
    "format": set(),
    "reference": {"format"},
    "workflow": set(),
    "cli": {
        "pipeline",
        "pipeline.versions",
        "workflow",
        "config",
        "format",
        "output",
        "presets",
        "recipe",
        "switches",
    },
    "pipeline": {
        "config",
        "data",
        "train",
        "codec",
        "codec.export",
        "format",
        "rendering",
        "metrics",
        "output",
        "splats",
        "switches",
        "tiles",
        "viewer",
    },
    "viewer": set(),
    "pipeline.versions": {"format", "kernels"},
    "data": {"config", "format", "output"},
    "model": {"ops", "config", "output", "format", "recipe"},
    "train": {"model", "ops", "rendering", "data", "metrics", "config", "output", "format", "recipe"},
    "codec": {"format", "kernels", "codec.torchac"},
    "codec.torchac": {"format", "kernels"},
    "codec.export": {"codec", "model", "format", "ops"},
    "rendering": {"format", "model", "ops", "output"},
    "splats": {"format", "ops", "output", "rendering"},
    "tiles": {"codec", "config", "data", "format", "ops", "output", "rendering", "splats"},
    "metrics": {"ops"},
    "ops": {"kernels", "format"},
}
# What of gspc the readable decoder may know besides itself.
REFERENCE_MAY_IMPORT = {
    "gspc.errors",
    "gspc.format.chunks",
    "gspc.format.container",
    "gspc.format.grid",
    "gspc.format.limits",
    "gspc.format.scene",
    "gspc.format.shape",
}
STANDARD_LIBRARY_ONLY = ("choices", "errors", "extras", "config", "recipe", "presets", "switches", "output")
NO_TORCH = (
    "errors",
    "extras",
    "scene",
    "config",
    "recipe",
    "presets",
    "switches",
    "output",
    "cli",
    "pipeline",
    "data",
    "format",
    "reference",
    "codec",
)


def sources() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
    )


def room_of(module: str) -> str:
    """The room of a dotted module below gspc ('' for gspc itself)."""
    parts = module.split(".")
    if parts[0] in ("_kernels", "_codec"):
        return "kernels"
    if parts[:2] in (["codec", "export"], ["codec", "torchac"], ["pipeline", "versions"]):
        return ".".join(parts[:2])
    if parts[:2] == ["model", "grid_spec"]:
        return "grid_spec"
    return parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import anywhere in the file, names imported from packages included."""
    package = ["gspc", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = PACKAGE.parent.joinpath(*module.split("."), alias.name)
                is_module = module.split(".")[0] == "gspc" and (
                    inner.with_suffix(".py").exists()
                    or inner.is_dir()
                    or alias.name in ("_kernels", "_codec")
                )
                yield node.lineno, f"{module}.{alias.name}" if is_module else module


def third_party(path: Path) -> Iterator[tuple[int, str]]:
    for line, module in imports(path):
        top = module.split(".")[0]
        if top != "gspc" and top not in sys.stdlib_module_names:
            yield line, top


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_room_is_in_the_table() -> None:
    rooms = {room_of(module_of(path)) for path in sources()}
    assert rooms - set(MAY_IMPORT) - {"__main__"} == set()


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_imports_keep_to_the_table(path: Path) -> None:
    room = room_of(module_of(path))
    allowed = {"cli"} if room == "__main__" else MAY_IMPORT[room] | {room, *FOR_EVERYONE}
    broken = []
    for line, module in imports(path):
        if module == "gspc" or not module.startswith("gspc."):
            continue
        target = room_of(module.removeprefix("gspc."))
        if target not in allowed:
            broken.append(f"{path.relative_to(PACKAGE)}:{line}: {room} imports {module}")
    assert not broken


def test_nothing_ships_with_the_readable_decoder() -> None:
    importers = {
        module_of(path)
        for path in sources()
        for _, module in imports(path)
        if f"{module}.".startswith("gspc.reference.") and room_of(module_of(path)) != "reference"
    }
    assert importers == set()


def test_the_readable_decoder_is_independent() -> None:
    """It imports no kernel, neither itself nor through what it imports."""
    for path in (PACKAGE / "reference").glob("*.py"):
        for line, module in imports(path):
            top = module.split(".")[0]
            known = top == "numpy" or top in sys.stdlib_module_names or module.startswith("gspc.reference")
            assert known or module in REFERENCE_MAY_IMPORT, (
                f"{path.relative_to(PACKAGE)}:{line}: imports {module}"
            )
    program = "import gspc.reference.decode, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "gspc._codec", "gspc._kernels"} & set(run.stdout.split())


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_torch_and_packages_stay_where_they_belong(path: Path) -> None:
    room = room_of(module_of(path))
    broken = []
    for line, package in third_party(path):
        if room in STANDARD_LIBRARY_ONLY or (room in NO_TORCH and package in ("torch", "gsplat")):
            broken.append(f"{path.relative_to(PACKAGE)}:{line}: {room} imports {package}")
        if package in ("rich", "typer") and room != "cli":
            broken.append(
                f"{path.relative_to(PACKAGE)}:{line}: {room} imports {package}, which only cli does"
            )
    assert not broken


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_only_the_command_line_prints(path: Path) -> None:
    room = room_of(module_of(path))
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls or module_of(path) == "cli.console", f"{path}: lines {calls} print"
    if room not in ("cli", "__main__"):
        assert "sys.stdout.write" not in path.read_text()


def test_the_test_sees_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions, relative imports and names of packages are all resolved."""
    file = PACKAGE / "data" / "load.py"
    found = {module for _, module in imports(file)}
    assert "gspc.errors" in found
    house = tmp_path / "gspc"
    (house / "data").mkdir(parents=True)
    (house / "cli").mkdir()
    (house / "data" / "x.py").write_text(
        "def f():\n    from gspc import cli\n    from ..cli import y\n    import torch.nn\n"
    )
    monkeypatch.setattr(f"{__name__}.PACKAGE", house)
    found = {module for _, module in imports(house / "data" / "x.py")}
    assert found == {"gspc.cli", "torch.nn"}


ARRAY_ROOMS = ("ops", "rendering", "model", "codec", "metrics", "format", "train")
# Annotations that stand for arrays; aliases of `gspc.scene` and `gspc.format` included.
ARRAYS = re.compile(r"\b(Tensor|NDArray|ndarray|ArrayLike|F32|F64|U8|U16|I8|I16|I32|I64|Image|Index)\b")
# [], [N], [3, H], [N, K, 3], [n, ...], [6 + 3 P], [n, 2 own + before]; no ranges such as [0, 1].
_SIZE = r"(?:\.\.\.|[1-9A-Za-z][\w .*+/^()-]*)"
SHAPE = re.compile(rf"(?<!\w)\[(?:{_SIZE}(?:, {_SIZE})*)?\]")


def takes_or_gives_arrays(node: ast.FunctionDef) -> bool:
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg)
    hints = [node.returns, *(argument.annotation for argument in arguments if argument)]
    return any(ARRAYS.search(ast.unparse(hint)) for hint in hints if hint)


def public_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a module and methods of its classes whose names do not begin with an underscore."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                    yield f"{node.name}.{part.name}", part


def states_a_shape(node: ast.FunctionDef, lines: list[str]) -> bool:
    """In the docstring, or in a comment from the first line of the signature to that of the body."""
    signature = lines[node.lineno - 1 : node.body[0].lineno]
    comments = [line.partition("#")[2] for line in signature]
    return any(SHAPE.search(text) for text in (ast.get_docstring(node) or "", *comments))


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_public_functions_of_arrays_state_shapes(path: Path) -> None:
    if module_of(path).split(".")[0] not in ARRAY_ROOMS:
        return
    text = path.read_text()
    silent = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}"
        for name, node in public_functions(ast.parse(text, str(path)))
        if takes_or_gives_arrays(node) and not states_a_shape(node, text.splitlines())
    ]
    assert not silent, "state shapes such as [N, 3] in the docstring or beside the signature"


def test_shapes_are_told_from_ranges() -> None:
    for text in (
        "[]",
        "[N]",
        "[N, 3]",
        "[3K, H]",
        "[n, ...]",
        "[n, 2 own + before]",
        "[2^d, C]",
        "[1, 3, H, W]",
    ):
        assert SHAPE.search(text), text
    for text in ("[0, 1]", "[-1, 1]", "[-512, 512]", "[0, 2^21)", "gspc[cuda]", "no shape"):
        assert not SHAPE.search(text), text

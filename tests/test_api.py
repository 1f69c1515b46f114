"""`import gspc`: what is there, what it costs, what its examples say, and that commands call the same."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from api_workspace import run_example, workspace
from cli_tools import ROOT, Cli, environment

import gspc
from gspc import pipeline
from gspc.errors import BitstreamError, InputError, OutputError, UsageError
from gspc.pipeline.photographs import Reading, Wanted
from gspc.rendering import render_view
from gspc.splats.drawing import draw

FUNCTIONS = ("compress", "decompress", "evaluate", "export", "fit", "inspect", "open", "render")
LATE = ("numpy", "torch", "matplotlib", "scipy", "typer", "rich", "PIL")


@pytest.fixture(scope="module", autouse=True)
def folder() -> Iterator[Path]:
    with workspace() as place:
        yield place


def loaded_by(program: str) -> set[str]:
    """What a fresh Python has imported after a program."""
    program += "\nimport sys; print('|', *sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    return set(run.stdout.partition("|")[2].split())


def test_import_is_light() -> None:
    """Milliseconds: nothing of gspc's own, nor any package, comes with it."""
    found = loaded_by("import gspc; gspc.__version__; dir(gspc)")
    assert {name for name in found if name.startswith("gspc.")} == set()
    assert not found & {*LATE, "typing", "dataclasses"}


@pytest.mark.parametrize(
    "program",
    [
        "gspc.Error, gspc.FitOptions(), gspc.DataOptions()",
        "gspc.inspect('scene.pcgs')",
        "gspc.open('scene.pcgs').level(1).levels",
    ],
)
def test_numbers_come_when_they_are_needed(program: str) -> None:
    assert not loaded_by(f"import gspc; {program}") & {"torch", "scipy", "matplotlib"}


def test_scenes_need_no_torch() -> None:
    program = """if True:
        import gspc
        scene = gspc.open("scene.pcgs")
        scene.level(1).gaussians(scene.cameras[0])
        scene.render()
        gspc.decompress("scene.pcgs").data
        gspc.export("scene.pcgs", "ply")
        gspc.inspect("scene.pcgs", levels=True)
    """
    assert not loaded_by(program) & {"torch", "matplotlib"}


def test_help_loads_no_numbers() -> None:
    program = "from gspc.cli.app import main; import io, sys; sys.stdout = io.StringIO(); main(['--help'])"
    found = loaded_by(f"{program}; sys.stdout = sys.__stdout__")
    assert "typer" in found and not found & {"numpy", "torch", "matplotlib", "scipy", "rich"}


def test_types_and_names_agree() -> None:
    """Type checkers and programs see the same names, which are those of the modules that define them."""
    stub = ast.parse((ROOT / "gspc" / "__init__.pyi").read_text())
    typed = {
        alias.asname: (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    } | {"Error": ("gspc.errors", "GspcError")}
    assert set(typed) == set(gspc.__all__) and set(typed) < set(dir(gspc))
    assert gspc.errors is importlib.import_module("gspc.errors")
    for public, (module, name) in typed.items():
        assert public == "errors" or getattr(gspc, public) is getattr(
            importlib.import_module(str(module)), name
        )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gspc.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_pipeline_s_types_and_names_agree() -> None:
    stub = ast.parse((ROOT / "gspc" / "pipeline" / "__init__.pyi").read_text())
    typed = {
        str(alias.asname): str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(typed) == pipeline.__all__
    for name, module in typed.items():
        assert getattr(pipeline, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pipeline.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_commands_call_the_same_functions() -> None:
    """A command's result is that of the function of its name."""
    for name in FUNCTIONS:
        if name not in ("open", "render"):
            assert getattr(gspc, name) is getattr(pipeline, name)


def examples() -> Iterator[tuple[str, str]]:
    """Docstrings of all that is public, methods included."""
    for name in gspc.__all__:
        thing = getattr(gspc, name)
        if name == "errors":
            continue
        yield name, inspect.getdoc(thing) or ""
        for inner in vars(thing) if inspect.isclass(thing) else ():
            part = getattr(thing, inner)
            text = inspect.getdoc(part) or ""
            if callable(part) and not inner.startswith("_") and ">>>" in text:
                yield f"{name}.{inner}", text


def test_everything_public_has_an_example() -> None:
    assert [name for name, text in examples() if "." not in name and ">>> import gspc" not in text] == []


@pytest.mark.parametrize(("name", "text"), [*examples()], ids=[name for name, _ in examples()])
def test_examples_say_what_happens(name: str, text: str) -> None:
    with workspace():
        assert run_example(text, name) >= 2


def test_a_picture_is_that_of_the_command(cli: Cli, folder: Path) -> None:
    from PIL import Image

    cli.monkeypatch.chdir(folder)
    assert (
        cli("render", "scene.pcgs", "--upto", "1", "--view", "2", "--size", "40", "-o", "view.png").code == 0
    )
    shown = np.asarray(Image.open("view.png"))
    assert np.array_equal(gspc.render("scene.pcgs", 2, upto=1, size="40"), shown)
    scene = gspc.open(folder / "scene.pcgs").level(1)
    assert np.array_equal(scene.render(2, size="40"), shown)
    assert np.array_equal(scene.render(scene.camera("2", size=40)), shown)
    assert np.array_equal(scene.render(scene.cameras[2], size=(40, 30)), shown)
    assert np.array_equal(gspc.render(scene, scene.cameras[2], size=40), shown)


def test_a_level_is_the_file_that_ends_there() -> None:
    scene = gspc.open(Path("scene.pcgs").read_bytes())
    for level, size in enumerate(gspc.inspect(scene).prefix_bytes, start=1):
        part, whole = scene.level(level), gspc.decompress(scene, upto=level).scene
        assert part.levels == level and len(part.data) <= size + 64
        for field in ("anchors", "features", "offsets", "log_scales", "gaussian_mask"):
            assert np.array_equal(getattr(part.decoded, field), getattr(whole, field)), field
        assert gspc.export(part, "splat").gaussians == gspc.open(part.data).splats().count
        assert gspc.compress(scene, levels=level).data == part.data


def test_every_kind_opens(folder: Path) -> None:
    stream = gspc.open("scene.pcgs")
    decoded = gspc.open(gspc.decompress("scene.pcgs", upto=1).data)
    model = gspc.open("model.pt")
    splats = gspc.open(gspc.export(stream, "ply").data)
    assert [scene.kind for scene in (stream, decoded, model, splats)] == ["pcgs", "scene", "model", "splats"]
    levels = gspc.compress("model.pt").levels
    assert [scene.levels for scene in (stream, decoded, model, splats)] == [2, 1, levels, 1]
    assert np.array_equal(model.render(3), stream.render(3)) and model.level(1).kind == "pcgs"
    assert np.array_equal(decoded.render(3), stream.level(1).render(3)) and decoded.level(1) is decoded
    assert gspc.open(stream) is stream
    camera = stream.cameras[0]
    shown, neural = splats.render(camera).astype(float), stream.render(camera).astype(float)
    assert np.abs(shown - neural).mean() < 8 and len(splats.gaussians(camera).means) == splats.splats().count
    assert splats.splats(0).degree == 0 and len(splats.cameras) > 4


def test_gaussians_are_what_is_drawn() -> None:
    """In the cameras' coordinates, and those beside the picture, too."""
    scene = gspc.open("scene.pcgs")
    camera = scene.cameras[0]
    found = scene.gaussians(camera)
    assert len(found.means) <= scene.decoded.gaussian_mask.sum()
    turned = replace(camera, world_to_camera=np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.world_to_camera)
    assert np.array_equal(scene.gaussians(turned).colors, found.colors)
    expected = np.clip(render_view(scene.decoded, camera), 0, 1)
    assert np.abs(scene.render(camera) / 255 - expected).max() <= 0.501 / 255
    drawn = np.clip(draw(found, camera, scene.decoded.background).picture, 0, 1)
    assert not scene.decoded.frame.identity and np.abs(drawn - expected).mean() < 1e-4


def test_wrong_use_is_told() -> None:
    scene = gspc.open("scene.pcgs")
    with pytest.raises(UsageError, match=r"scene.pcgs: has 2 levels; there is no level 3"):
        scene.level(3)
    with pytest.raises(UsageError, match="--view '99' is not there"):
        scene.camera(99)
    with pytest.raises(InputError, match="data: is neither"):
        gspc.open(b"nonsense that is no scene at all")
    with pytest.raises(BitstreamError):
        gspc.decompress(scene.data[:40])
    splats = gspc.open(gspc.export(scene, "ply").data)
    for use in (lambda: splats.level(1), lambda: splats.decoded, lambda: gspc.compress(splats)):
        with pytest.raises(InputError, match="is a splat of another tool"):
            use()
    with pytest.raises(UsageError, match="'xyz' is not written; choose one of"):
        gspc.export(scene, "xyz")
    for call in (lambda: scene.splats(4), lambda: gspc.export(scene, gspc.ExportOptions("ply", degree=-1))):
        with pytest.raises(UsageError, match="harmonics have degrees 0 to 3"):
            call()
    with pytest.raises(UsageError, match="there is no coder 'zip'; choose one of lanes, torchac"):
        gspc.compress("model.pt", coder="zip")  # type: ignore[arg-type]
    assert issubclass(UsageError, gspc.Error) and gspc.Error is gspc.errors.GspcError


def test_results_are_not_written_over() -> None:
    made = gspc.compress("scene.pcgs", levels=1)
    made.save("one.pcgs")
    with pytest.raises(OutputError, match=r"one.pcgs: exists already; overwrite=True replaces it"):
        made.save("one.pcgs")
    made.save("one.pcgs", overwrite=True)
    assert len(repr(gspc.open("one.pcgs"))) < 200 and len(repr(made)) < 200  # not the bytes
    assert Path("one.pcgs").read_bytes() == made.data
    with pytest.raises(OutputError, match="the directory nowhere does not exist"):
        made.save("nowhere/one.pcgs")


def test_a_fit_that_could_not_be_written_does_not_start() -> None:
    seen: list[gspc.FitProgress] = []
    with pytest.raises(OutputError, match="the directory nowhere does not exist"):
        gspc.fit("photos", "nowhere/m.pt", observer=seen.append)
    assert seen == []


def test_observers_hear_of_progress_and_messages() -> None:
    class Observer:
        def __init__(self) -> None:
            self.said: list[str] = []
            self.states: list[int] = []

        def message(self, text: str) -> None:
            self.said.append(text)

        def progress(self, progress: gspc.FitProgress) -> None:
            self.states.append(progress.iteration)

    heard = Observer()
    options = gspc.FitOptions(iterations=10, levels=1, threads=1)
    gspc.fit("photos", "heard.pt", options=options, observer=heard)
    assert heard.states == [10] and any(text.startswith("backend cpu") for text in heard.said)


def test_ways_to_read_photographs_are_named_once() -> None:
    assert Reading.__annotations__.keys() == Wanted.__annotations__.keys()


PROGRAM = """
import numpy as np
from numpy.typing import NDArray

import gspc

def heard(state: gspc.FitProgress) -> None:
    print(state.iteration, state.psnr)

result: gspc.FitResult = gspc.fit("photos", "m.pt", options=gspc.FitOptions(iterations=10), observer=heard)
stream: bytes = gspc.compress(result.path, levels=2).data
scene: gspc.Scene = gspc.open(stream)
camera: gspc.Camera = scene.cameras[0]
means: NDArray[np.float32] = scene.level(2).gaussians(camera).means
picture: NDArray[np.uint8] = gspc.render(scene, camera)
best: float = gspc.evaluate(scene, "photos", resolution=2, levels="last").levels[0].psnr
try:
    gspc.export(scene, "spz").save("scene.spz")
except gspc.Error as error:
    print(error.problem)
"""
FAULTY = {
    'gspc.render("scene.pcgs", uptoo=1)': "call-arg",
    'gspc.evaluate("scene.pcgs", "photos", resolution="x")': "arg-type",
    'gspc.open("scene.pcgs").levels + "x"': "operator",
    "gspc.nothing": "attr-defined",
}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed (gspc[dev])")
def test_programs_are_type_checked(tmp_path: Path) -> None:
    assert (ROOT / "gspc" / "py.typed").exists()
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n[mypy-torch.*]\nfollow_imports = skip\n")
    (tmp_path / "good.py").write_text(PROGRAM)
    (tmp_path / "bad.py").write_text("import gspc\n" + "".join(f"{line}\n" for line in FAULTY))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "good.py", "bad.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    # What strictness finds within gspc is `make check`'s to judge, by the project's own settings.
    errors = [line for line in run.stdout.splitlines() if line[0] != "/" and ": error: " in line]
    assert [line.partition(":")[0] for line in errors] == ["bad.py"] * len(FAULTY), run.stdout
    assert [line.rpartition("[")[2].rstrip("]") for line in errors] == list(FAULTY.values())

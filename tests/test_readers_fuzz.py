"""Readers of other people's files, given mutants of small good ones: only the project's errors leave them.

Mutants are cut, have bytes replaced, numbers made extreme, parts doubled or nested without end. Hypothesis
picks them; GSPC_FUZZ=N asks for N mutants of each kind of file instead of some dozens.
"""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rendering_scenes
from data_scenes import tiny_model, write_cloud, write_transforms
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from splat_scenes import random_splats
from test_splats_hostile import ksplat

from gspc.cli.fit_settings import read_settings
from gspc.data import colmap
from gspc.data.cameras import read_cameras
from gspc.data.ply import read_point_cloud
from gspc.errors import GspcError
from gspc.pipeline.comparison import compare
from gspc.rendering import read_scene, write_scene
from gspc.splats import WRITABLE, read_splats, write_splats

STANDING = {"levels": "3", "iterations": "100"}  # settings of the fit
EXAMPLES = int(os.environ.get("GSPC_FUZZ", "25"))
ODD_NUMBERS = (b"nan", b"-1", b"1e999", b"9" * 5000, b"0", b"-0.0", b"18446744073709551616", b"null", b'"x"')
ODD_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FC00000)
NESTED = (b"[" * 3000, b'{"a":' * 3000, b"[" * 3000 + b"]" * 3000)

Read = Callable[[Path], object]


def mutant(data: bytes, random: random.Random, *, text: bool) -> bytes:
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at = random.randrange(len(made) + 1)
        way = random.randrange(8)
        if way == 0:
            del made[at:]
        elif way == 1:
            del made[at : at + random.randrange(64)]
        elif way == 2:
            made[at:at] = made[at : at + random.randrange(200)]
        elif way in (3, 4) and text:
            _replace_number(made, random)
        elif way == 5 and text:
            made[at:at] = random.choice(NESTED)
        elif way in (3, 4):
            made[at : at + 4] = random.choice(ODD_WORDS).to_bytes(4, random.choice(("little", "big")))
        else:
            made[at : at + 1] = bytes([random.randrange(256)])
        if not made:
            break
    return bytes(made)


def _replace_number(made: bytearray, random: random.Random) -> None:
    """Something odd in the place of one number or word of a text."""
    begins = [i for i in range(1, len(made)) if chr(made[i]).isdigit() and not chr(made[i - 1]).isalnum()]
    if begins:
        at = random.choice(begins)
        end = at
        while end < len(made) and chr(made[end]) in "0123456789.e-+":
            end += 1
        made[at:end] = random.choice(ODD_NUMBERS)


def trained(tmp_path: Path) -> bytes:
    from train_scenes import SMALL, noise_scene, trainer

    from gspc.data.cameras import suggested_cameras
    from gspc.model.storage import TrainedModel, save_model

    scene = noise_scene()
    path = tmp_path / "model.pt"
    model = trainer(scene, SMALL, 0).model
    save_model(path, TrainedModel(model, suggested_cameras(scene.views), (1.0, 0.5, 0.0), {}))
    return path.read_bytes()


def load_trained(path: Path) -> object:
    from gspc.model.storage import load_model

    return load_model(path)


def checkpoint(tmp_path: Path) -> bytes:
    from train_scenes import SMALL, noise_scene, trainer

    from gspc.train.checkpoint import save

    save(tmp_path / "checkpoint", STANDING, trainer(noise_scene(), SMALL, 0), 0)
    return (tmp_path / "checkpoint").read_bytes()


def load_checkpoint(path: Path) -> object:
    from train_scenes import SMALL, noise_scene, trainer

    from gspc.train import checkpoint

    return checkpoint.restore(checkpoint.load(path, STANDING), trainer(noise_scene(), SMALL, 0))


def cloud(tmp_path: Path) -> bytes:
    write_cloud(tmp_path / "cloud.ply", np.eye(3), np.full((3, 3), 7, np.uint8))
    return (tmp_path / "cloud.ply").read_bytes()


def report(tmp_path: Path) -> bytes:
    views = [{"view": "a.png", "psnr": 20.0, "size": [64, 48]}]
    levels = [{"level": n, "bytes": 100 * n, "psnr": 20.0 + n, "views": views} for n in (1, 2, 3, 4)]
    return json.dumps({"source": "a", "data": "b", "levels": levels, "views": "test"}).encode()


SETTINGS = b"""preset = "fast"
iterations = 1000
resolution = 2
rate-weights = [4e-3, 1e-3]
[set]
features = 16
downsampling = "none"
"""
POSES = b'[{"position": [1, 2, 0], "look_at": [0, 0, 0]}, {"position": [2, 2, 0.5], "look_at": [0, 1, 0]}]'


def read_path(path: Path) -> object:
    from gspc.pipeline.views import choose_cameras

    return choose_cameras(rendering_scenes.random_scene(5), path=str(path), frames=4)


# Name of a file, what a good one holds, what reads it, and whether it is text.
FILES: dict[str, tuple[Callable[[Path], bytes], Read, bool]] = {
    "cloud.ply": (cloud, read_point_cloud, False),
    "model.pt": (trained, load_trained, False),
    "fit.checkpoint": (checkpoint, load_checkpoint, False),
    "decoded.scene": (
        lambda _: write_scene(rendering_scenes.random_scene(5)),
        lambda path: read_scene(path.read_bytes()),
        True,
    ),
    "settings.toml": (lambda _: SETTINGS, read_settings, True),
    "poses.json": (lambda _: POSES, read_path, True),
    "report.json": (report, lambda path: compare([f"a={path}", f"b={path}"]), True),
} | {
    f"splats.{kind}": (
        lambda _, kind=kind: ksplat(20) if kind == "ksplat" else write_splats(random_splats(20), kind),
        lambda path: read_splats(path.read_bytes()),
        False,
    )
    for kind in (*WRITABLE, "ksplat")
}


def run(data: bytes, read: Read, path: Path, number: int, *, text: bool) -> None:
    path.write_bytes(mutant(data, random.Random(number), text=text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except GspcError as error:
        assert str(error) and error.exit_code in (2, 3, 4)


@pytest.mark.parametrize("name", FILES)
def test_only_the_projects_errors_leave_a_reader(tmp_path: Path, name: str) -> None:
    make, read, text = FILES[name]
    data, path = make(tmp_path), tmp_path / f"mutant-{name}"
    path.write_bytes(data)
    assert read(path) is not None  # the good one is

    @seed(1)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**62))
    def mutants(number: int) -> None:
        run(data, read, path, number, text=text)

    mutants()


@pytest.mark.parametrize("form", ["bin", "txt", "json"])
def test_only_the_projects_errors_leave_readers_of_folders(tmp_path: Path, form: str) -> None:
    if form == "json":
        write_transforms(tmp_path, count=3)
        files = [tmp_path / "transforms.json"]
    else:
        colmap.write_model(tmp_path / "sparse/0", tiny_model(3), text=form == "txt")
        files = sorted((tmp_path / "sparse/0").iterdir())

    def read(path: Path) -> object:
        cameras = read_cameras(tmp_path)
        return cameras if form == "json" else (cameras, colmap.read_points(tmp_path / "sparse/0"))

    good = {file: file.read_bytes() for file in files}
    assert read(tmp_path)

    @seed(2)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(files), st.integers(0, 2**62))
    def mutants(file: Path, number: int) -> None:
        run(good[file], read, file, number, text=form != "bin")
        file.write_bytes(good[file])

    mutants()

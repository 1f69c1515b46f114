"""Names of photographs that are no UTF-8, as disks and archives of other systems bring them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from cli_tools import run_fresh
from data_scenes import picture, tiny_model

from gspc.data import colmap, load_scene
from gspc.data.load import understand

LATIN = os.fsdecode("bär.png".encode("latin-1"))  # as Python has the name of such a file


def latin_scene(folder: Path, *, text: bool) -> Path:
    """A scene whose first photograph has a name in Latin-1, in the model and on the disk."""
    model = tiny_model()
    images = (replace(model.images[0], name=LATIN), *model.images[1:])
    colmap.write_model(folder / "sparse" / "0", replace(model, images=images), text=text)
    for index, image in enumerate(images):
        path = folder / "images" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            iio.imwrite(folder / "picture.png", picture(index, 32, 24))
            os.replace(folder / "picture.png", path)  # noqa: PTH105
        except OSError:
            pytest.skip("this file system has no such names")
    return folder


@pytest.mark.parametrize("text", [False, True])
def test_latin_names_are_found_and_spelled(tmp_path: Path, text: bool) -> None:
    scene = load_scene(latin_scene(tmp_path, text=text))
    views = [*scene.train, *scene.test]
    assert len(views) == 10
    (found,) = [view for view in views if view.camera.name == "b%E4r.png"]
    assert np.array_equal(found.load(), picture(0, 32, 24))


def test_a_missing_one_is_spelled_in_what_is_said(tmp_path: Path) -> None:
    folder = latin_scene(tmp_path, text=False)
    (folder / "images" / LATIN).unlink()
    report = understand(folder).report
    assert [one.name for one in report.left_out] == ["b%E4r.png"]
    report.left_out[0].name.encode()
    assert "b%E4r.png" in "".join(note.text for note in report.notes).encode().decode()


def test_the_command_line_says_it_in_ascii(tmp_path: Path) -> None:
    folder = latin_scene(tmp_path / "scene", text=True)
    (folder / "images" / LATIN).write_bytes(b"")
    ran = run_fresh("fit", str(folder), "--dry-run", "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert [one["name"] for one in said["left_out"]] == ["b%E4r.png"]
    assert "b%E4r.png" in ran.err
    folder.rename(moved := tmp_path / os.fsdecode(b"caf\xe9"))
    ran = run_fresh("fit", str(moved), "--dry-run")
    assert (ran.code, "caf%E9/images: " in ran.err) == (0, True), ran.err

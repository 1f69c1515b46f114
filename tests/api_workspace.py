"""A folder in which the examples of docstrings and guide pages run: photographs, a model, a stream."""

from __future__ import annotations

import contextlib
import doctest
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gspc
from gspc.data.demo import write_demo_scene


@functools.cache
def _made() -> Path:
    """photos/, model.pt and scene.pcgs, made once: a few dozen steps on nine small pictures."""
    folder = Path(tempfile.mkdtemp(prefix="gspc-examples-"))
    write_demo_scene(folder / "photos", views=8, width=64, height=48, points=300)
    options = gspc.FitOptions(iterations=30, levels=2, threads=1, checkpoint_every=0)
    gspc.fit(folder / "photos", folder / "model.pt", options=options)
    gspc.compress(folder / "model.pt", levels=2).save(folder / "scene.pcgs")
    return folder


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """The current directory is a fresh copy of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = shutil.copytree(_made(), Path(place) / "work")
        with contextlib.chdir(folder):
            yield folder


def run_example(text: str, name: str) -> int:
    """Runs the lines after >>> of a text in the current directory and returns how many there were.

    Raises AssertionError with doctest's own report when one gives something else than what stands below it.
    """
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    report: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not failed, "".join(report)
    return tried

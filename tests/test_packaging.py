"""What pip brings with which extra, and what says so."""

from __future__ import annotations

import re
import sys
import tomllib
from email.message import Message

import pytest
from cli_tools import ROOT

from gspc import extras
from gspc.cli import version
from gspc.errors import BackendError
from gspc.pipeline.about import about, license_of, openmp_runtimes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_OF_USERS = {"test", "dev", "docs"}


def packages(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\s<>=!~;\[]", requirement)[0] for requirement in requirements}
    return names - {"gspc"}


def test_extras_are_those_of_the_project() -> None:
    assert packages(PROJECT["dependencies"]) == set(extras.ALWAYS)
    optional = PROJECT["optional-dependencies"]
    for package, extra in extras.EXTRA_OF.items():
        assert package in packages(optional[extra]), package
    for extra, requirements in optional.items():
        if extra not in NOT_OF_USERS:
            assert packages(requirements) & {
                package for package, of in extras.EXTRA_OF.items() if of == extra
            }


def test_tests_bring_every_extra_that_a_cpu_can_use() -> None:
    (brought,) = [text for text in PROJECT["optional-dependencies"]["test"] if text.startswith("gspc[")]
    assert set(brought[5:-1].split(",")) >= {"fit", "plots", "colmap", "spz"}


def test_missing_packages_are_found_without_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not extras.installed("torch")
    assert not extras.installed("no_such_parent.child")
    with pytest.raises(
        BackendError, match=r"drawing needs the Python package torch; pip install 'gspc\[fit\]'"
    ):
        extras.require("torch", "drawing")
    extras.require("numpy", "anything")
    assert extras.advice("numpy") == "install gspc with all it depends on"


def test_licenses_are_said_in_a_few_words() -> None:
    def of(*headers: tuple[str, str]) -> str:
        message = Message()
        for name, value in headers:
            message[name] = value
        return license_of(message)  # type: ignore[arg-type]

    text = ("License", "Some License\\n\\nPermission is granted ...")
    classifier = ("Classifier", "License :: OSI Approved :: MIT License")
    assert of(("License-Expression", "MIT"), classifier) == "MIT"
    assert of(classifier, text) == "MIT License"
    assert of(("License", "BSD-3-Clause\nand a long text")) == "BSD-3-Clause"
    assert of() == "not stated"


def test_the_listing_names_backends_and_licenses(capfd: pytest.CaptureFixture[str]) -> None:
    found = about()
    assert {"python", "machine", "kernels", "cuda"} <= set(found.facts)
    assert re.fullmatch(r"(base|v3|v4) .*, \d+ threads?", found.facts["kernels"])
    by_name = {library.name: library for library in found.libraries}
    assert by_name["plyfile"].version and "General Public License" in by_name["plyfile"].license
    assert by_name["numpy"].extra is None and by_name["torch"].extra == "fit"
    version.show()
    shown = capfd.readouterr().out
    assert "plyfile" in shown and "gspc[cuda]" in shown


def test_kernels_and_torch_share_one_openmp() -> None:
    """Two runtimes would keep two pools of threads, which take the processors from each other."""
    import torch

    assert torch.rand(1000).sum() > 0
    about()
    ours = [path for path in openmp_runtimes() if "pycolmap" not in path]
    assert len(ours) <= 1, ours

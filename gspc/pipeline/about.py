"""What runs here: backends, instruction set, libraries and their licenses."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gspc import extras
from gspc.errors import BackendError

ISA_NAMES = {"base": "base (SSE2, NEON)", "v3": "v3 (AVX2)", "v4": "v4 (AVX-512)"}


@dataclass(frozen=True)
class Library:
    """A package that gspc uses. `version` is None where it is not installed; `extra` brings it then."""

    name: str
    version: str | None
    license: str
    extra: str | None


@dataclass(frozen=True)
class About:
    """`facts`: names and values about machine and backends, in the order to be shown."""

    facts: Mapping[str, str]
    libraries: tuple[Library, ...]


def about() -> About:
    """What runs here. Loads the kernels, and torch where it is installed: it knows the GPUs."""
    facts = {"python": platform.python_version(), "machine": platform.platform(), **_kernels()}
    facts["cuda"] = _cuda()
    if openmp := openmp_runtimes():
        facts["openmp"] = ", ".join(openmp)
    names = (*((name, None) for name in extras.ALWAYS), *extras.EXTRA_OF.items())
    return About(facts, tuple(_library(name, extra) for name, extra in names))


def openmp_runtimes() -> tuple[str, ...]:
    """Files of the OpenMP runtimes that this process has loaded, where the system tells. More than one share
    no threads, so that each slows the other down."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return ()
    return tuple(sorted({path for path in re.findall(r"/\S+", maps) if "/libgomp" in path}))


def _kernels() -> dict[str, str]:
    from gspc.rendering import cpu_summary

    try:
        isa, threads = cpu_summary()
    except BackendError as error:
        return {"kernels": str(error)}
    return {"kernels": f"{ISA_NAMES[isa]}, {threads} thread{'s' * (threads != 1)}"}


def _cuda() -> str:
    from gspc.rendering import choose_backend

    try:
        return choose_backend("cuda").reason.removeprefix("backend cuda: ")
    except BackendError as error:
        return str(error).removeprefix("device 'cuda' ").removesuffix("; use --device cpu")


def _library(name: str, extra: str | None) -> Library:
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return Library(name, None, "", extra)
    return Library(name, found["Version"], license_of(found), extra)


def license_of(found: metadata.PackageMetadata) -> str:
    """The license in a few words: its expression, else its classifier, else the first line of its text."""
    if "License-Expression" in found:
        return found["License-Expression"]
    classifiers = found.get_all("Classifier") or []
    named = [entry.rpartition(" :: ")[2] for entry in classifiers if entry.startswith("License ::")]
    if named:
        return ", ".join(named)
    text = (found["License"] if "License" in found else "").strip()  # noqa: SIM401
    return text.splitlines()[0][:60] if text else "not stated"

"""What runs here: the format, the kernels' instruction set, torch."""

from __future__ import annotations

from importlib import metadata

from gspc.format.limits import SWELL_MINOR, VERSION_MAJOR

ISA_NAMES = {"base": "SSE2", "v3": "AVX2", "v4": "AVX-512"}


def what_runs() -> tuple[tuple[str, str], ...]:
    """Names and values. Loads neither torch nor the kernels of training."""
    return (
        ("format", f".pcgs {VERSION_MAJOR}.{SWELL_MINOR}"),  # the newest
        ("kernels", _kernels()),
        ("torch", _package("torch")),
    )


def _kernels() -> str:
    try:
        from gspc import _codec
    except ImportError:
        return "not built"
    isa = _codec.supported_isa()
    return ISA_NAMES.get(isa, isa)


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"

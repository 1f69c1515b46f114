"""Packages that pip brings only with an extra, `pip install 'gspc[fit]'`, and what to say where one is
missing.

Decoding, rendering, exporting and inspecting need none of them: torch alone takes gigabytes.
"""

from __future__ import annotations

import importlib.util

from gspc.errors import BackendError

# What pip brings always.
ALWAYS = ("numpy", "typer", "rich", "imageio", "pillow", "plyfile")
# package -> the extra of pyproject.toml that brings it
EXTRA_OF = {
    "torch": "fit",
    "scipy": "fit",
    "matplotlib": "plots",
    "bjontegaard": "plots",
    "gsplat": "cuda",
    "pycolmap": "colmap",
    "lpips": "lpips",
    "torchac": "torchac",
    "backports.zstd": "spz",
    "av": "video",
    "snakemake": "workflow",
}


def installed(package: str) -> bool:
    """Whether a package can be imported; finds it without loading it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # a package within a package that is missing
        return False


def advice(package: str) -> str:
    """What to do about a package that is missing, to be put after what needs it."""
    extra = EXTRA_OF.get(package)
    return "install gspc with all it depends on" if extra is None else f"pip install 'gspc[{extra}]'"


def require(package: str, what: str) -> None:
    """Raises BackendError, about `what` asks for it, where a package is not installed."""
    if not installed(package):
        raise BackendError(f"{what} needs the Python package {package}; {advice(package)}")

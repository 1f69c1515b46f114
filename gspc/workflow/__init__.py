"""The workflow for many scenes: a Snakefile that runs the command line on every folder of a folder."""

from __future__ import annotations

from pathlib import Path


def snakefile() -> Path:
    """Where the workflow lies, for `snakemake -s`."""
    return Path(__file__).with_name("Snakefile")

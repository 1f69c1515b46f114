"""`gspc workflow`: where the workflow for many scenes lies."""

from __future__ import annotations

from gspc.cli import console
from gspc.workflow import snakefile

EXAMPLE = "gspc workflow | xargs snakemake --cores 8 --config scenes=photographs -s"


def command() -> None:
    """Print the path of the workflow that takes every scene of a folder through fit, compress and eval.

    It is a file for Snakemake (extra gspc[workflow]), which runs it on one machine or hands its jobs to a
    cluster. Fits that ended early go on from their checkpoints. The file's head lists the settings.
    """
    console.out(str(snakefile()))

"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, options
from gspc.cli.progress import FitView, duration

EXAMPLE = "gspc fit photos -o model.pt --resolution 2 --levels 3"


def command(
    scene: Annotated[
        Path,
        typer.Argument(
            metavar="SCENE",
            show_default=False,
            help="A COLMAP directory (images/ and sparse/0/) or one with Blender's transforms_train.json.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The model to write.")
    ],
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iterations",
            "-n",
            metavar="N",
            min=1,
            help="Training steps; by default 30000 on CUDA, 3000 on a CPU.",
        ),
    ] = None,
    levels: Annotated[
        int, typer.Option("--levels", metavar="S", min=1, max=16, help="Progressive levels to train.")
    ] = 4,
    rate_weights: Annotated[
        str | None,
        typer.Option(
            "--rate-weights",
            metavar="A,B,...",
            help="Weight of the rate per level, coarsest first; larger is smaller.",
        ),
    ] = None,
    resolution: options.Resolution = None,
    images: options.Images = None,
    hold: Annotated[
        int,
        typer.Option(
            "--hold", metavar="N", min=0, help="Hold out every Nth view by name for eval; 0 for none."
        ),
    ] = 8,
    background: Annotated[
        options.Background,
        typer.Option("--background", metavar="white|black", help="What transparent pixels lie on."),
    ] = options.Background.black,
    voxel_size: Annotated[
        float | None,
        typer.Option(
            "--voxel-size", metavar="X", help="Edge of the anchor grid in scene units; by default measured."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")] = 0,
    device: Annotated[
        options.Device, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to train.")
    ] = options.Device.auto,
    threads: options.Threads = 0,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            "--checkpoint-every", metavar="N", min=1, help="Steps between checkpoints, to --resume from."
        ),
    ] = 500,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of this output.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Append training records to FILE as JSON lines."),
    ] = None,
    force: options.Force = False,
) -> None:
    """Train a model from photographs with known cameras.

    Ctrl-C saves a checkpoint and exits; --resume goes on from there.
    """
    from gspc.config import DataOptions, FitOptions
    from gspc.errors import UsageError
    from gspc.output import check_target

    weights = options.rate_weights(rate_weights)
    if weights is not None and len(weights) != levels:
        raise UsageError(f"--rate-weights has {len(weights)} numbers for {levels} levels; give one per level")
    if voxel_size is not None and not 0.0 < voxel_size < float("inf"):
        raise UsageError(f"--voxel-size {voxel_size}: give a positive number of scene units")
    check_target(output, force=force or resume)
    options.limit_threads(threads)
    from gspc import pipeline

    data = DataOptions(resolution=resolution, hold=hold, background=background.value, images=images)
    fit = FitOptions(
        iterations=iterations,
        levels=levels,
        rate_weights=weights,
        voxel_size=voxel_size,
        seed=seed,
        device=device.value,
        threads=threads or None,
        checkpoint_every=checkpoint_every,
        resume=resume,
        log=log,
    )
    with FitView() as view:
        result = pipeline.fit(scene, output, data, fit, view)
    psnr = "" if result.psnr is None else f", held-out PSNR {result.psnr:.2f} dB"
    console.note(f"{result.path}: {result.anchors:,} anchors{psnr}, {duration(result.seconds)}")

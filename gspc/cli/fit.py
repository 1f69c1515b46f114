"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, options
from gspc.cli.progress import FitView, duration
from gspc.config import DataOptions, FitOptions, checkpoint_path

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
            help="Training steps; by default 30000 on CUDA, 3000 on a CPU.",
        ),
    ] = None,
    levels: Annotated[int, typer.Option("--levels", metavar="S", help="Progressive levels to train.")] = 4,
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
        typer.Option("--hold", metavar="N", help="Hold out every Nth view by name for eval; 0 for none."),
    ] = 8,
    background: Annotated[
        options.Background,
        typer.Option(
            "--background",
            metavar="auto|white|black",
            help="Color behind transparent pixels and the scene; auto looks at the photographs.",
        ),
    ] = options.Background.auto,
    image_cache: Annotated[
        float,
        typer.Option(
            "--image-cache",
            metavar="GB",
            help="Memory for decoded photographs; those beyond are decoded each time they are used.",
        ),
    ] = DataOptions.image_cache,
    voxel_size: Annotated[
        float | None,
        typer.Option(
            "--voxel-size", metavar="X", help="Edge of the anchor grid in scene units; by default measured."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of everything random.")] = 0,
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="auto|cpu|cuda", help="Where to train; cuda:1 names one of several."
        ),
    ] = "auto",
    threads: options.Threads = 0,
    checkpoint_every: Annotated[
        int,
        typer.Option("--checkpoint-every", metavar="N", help="Steps between checkpoints; 0 for none."),
    ] = 500,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of this output.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Write training records to FILE as JSON lines."),
    ] = None,
    heads_precision: Annotated[
        options.Precision,
        typer.Option(
            "--heads-precision",
            metavar="float32|bf16",
            help="Arithmetic of the Gaussian heads while training; bf16 needs a CUDA device.",
        ),
    ] = options.Precision.float32,
    features: Annotated[
        int, typer.Option("--features", metavar="F", help="Feature channels of an anchor.")
    ] = FitOptions.features,
    densify_threshold: Annotated[
        float,
        typer.Option(
            "--densify-threshold",
            metavar="X",
            help="Screen-space gradient from which anchors grow; less grows more.",
        ),
    ] = FitOptions.densify_threshold,
    force: options.Force = False,
) -> None:
    """Train a model from photographs with known cameras.

    Checkpoints lie beside the output as FILE.checkpoint. Ctrl-C saves one and exits; --resume goes on
    from it.
    """
    from gspc import pipeline
    from gspc.output import check_target

    data = DataOptions(
        resolution=resolution,
        hold=hold,
        background=background.value,
        images=images,
        image_cache=image_cache,
    )
    fit = FitOptions(
        iterations=iterations,
        levels=levels,
        rate_weights=options.rate_weights(rate_weights),
        voxel_size=voxel_size,
        seed=seed,
        device=device,
        threads=threads or None,
        checkpoint_every=checkpoint_every,
        resume=resume,
        log=log,
        heads_precision=heads_precision.value,
        features=features,
        densify_threshold=densify_threshold,
    )
    for path in (output, log):
        if path is not None:
            check_target(path, force=force or (resume and checkpoint_path(output).exists()))
    options.limit_threads(threads)
    with FitView() as view:
        result = pipeline.fit(scene, output, data, fit, view)
    console.note(
        f"{result.path}: {result.anchors:,} anchors, training PSNR {result.psnr:.2f} dB, "
        f"{duration(result.seconds)}"
    )

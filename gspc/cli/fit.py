"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, fit_settings, options
from gspc.cli.progress import FitView, duration
from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.presets import DEFAULT_PRESET, PRESETS
from gspc.switches import as_text, describe, ingredients, value_text

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
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            "-p",
            metavar="NAME",
            show_default=False,
            help=f"What is learned and how, one of {', '.join(PRESETS)}. Default: {DEFAULT_PRESET}.",
        ),
    ] = None,
    switches: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            show_default=False,
            help="Replace one ingredient of the preset; may be given often.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Take preset, options and ingredients from a TOML file; the command line overrides it.",
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iterations",
            "-n",
            metavar="N",
            help="Training steps; by default the preset's, or else 30000 on CUDA, 3000 on a CPU.",
        ),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option("--levels", metavar="S", help="Progressive levels to train; by default the preset's."),
    ] = None,
    rate_weights: Annotated[
        str | None,
        typer.Option(
            "--rate-weights",
            metavar="A,B,...",
            help="Weight of the rate per level, coarsest first; larger is smaller. By default the preset's.",
        ),
    ] = None,
    resolution: options.Resolution = None,
    images: options.Images = None,
    hold: Annotated[
        int | None,
        typer.Option(
            "--hold",
            metavar="N",
            help=f"Hold out every Nth view by name for eval; 0 for none. Default: {DataOptions.hold}.",
        ),
    ] = None,
    background: Annotated[
        options.Background | None,
        typer.Option(
            "--background",
            metavar="auto|white|black",
            help="Color behind transparent pixels and the scene; auto looks at the photographs. "
            f"Default: {DataOptions.background}.",
        ),
    ] = None,
    image_cache: Annotated[
        float | None,
        typer.Option(
            "--image-cache",
            metavar="GB",
            help="Memory for decoded photographs; those beyond are decoded each time they are used. "
            f"Default: {DataOptions.image_cache:g}.",
        ),
    ] = None,
    voxel_size: Annotated[
        float | None,
        typer.Option(
            "--voxel-size", metavar="X", help="Edge of the anchor grid in scene units; by default measured."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help=f"Seed of everything random. Default: {FitOptions.seed}."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="auto|cpu|cuda",
            help=f"Where to train; cuda:1 names one of several. Default: {FitOptions.device}.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", metavar="N", min=0, help="Threads to use; 0 takes every core at hand. Default: 0."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            metavar="N",
            help=f"Steps between checkpoints; 0 for none. Default: {FitOptions.checkpoint_every}.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of this output.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Write training records to FILE as JSON lines."),
    ] = None,
    heads_precision: Annotated[
        options.Precision | None,
        typer.Option(
            "--heads-precision",
            metavar="float32|bf16",
            help="Arithmetic of the Gaussian heads while training; bf16 needs a CUDA device.",
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Train a model from photographs with known cameras.

    Checkpoints lie beside the output as FILE.checkpoint. Ctrl-C saves one and exits; --resume goes on
    from it.
    """
    from gspc import pipeline
    from gspc.output import check_target

    chosen = fit_settings.choose(preset, switches or (), config)
    given = {
        "iterations": iterations,
        "levels": levels,
        "rate_weights": options.rate_weights(rate_weights),
        "resolution": resolution,
        "images": images,
        "hold": hold,
        "background": background,
        "image_cache": image_cache,
        "voxel_size": voxel_size,
        "seed": seed,
        "device": device,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
        "heads_precision": heads_precision,
    }
    values = {**chosen.options, **{name: value for name, value in given.items() if value is not None}}
    thread_count = values["threads"] = values.get("threads") or None
    of_data = {entry.name for entry in fields(DataOptions)}
    data = DataOptions(**{name: value for name, value in values.items() if name in of_data})
    fit = FitOptions(
        **{name: value for name, value in values.items() if name not in of_data},
        resume=resume,
        log=log,
        recipe=chosen.recipe,
        metadata=chosen.metadata,
    )
    for path in (output, log):
        if path is not None:
            check_target(path, force=force or (resume and checkpoint_path(output).exists()))
    options.limit_threads(thread_count or 0)
    with FitView() as view:
        result = pipeline.fit(scene, output, data, fit, view)
    console.note(
        f"{result.path}: {result.anchors:,} anchors, training PSNR {result.psnr:.2f} dB, "
        f"{duration(result.seconds)}"
    )


def more_help() -> list[str]:
    """Paragraphs after the description: the presets, and where their ingredients are explained."""
    found = [
        f"Presets, and what they set that {DEFAULT_PRESET} does not (--set replaces single ingredients):"
    ]
    for name, (_, about) in PRESETS.items():
        changed = as_text(describe(name))
        found.append(f"{name}: {about}." + (f" {changed}" if changed else ""))
    return [*found, "man gspc-fit lists all ingredients with their defaults, ranges and meaning."]


def manual() -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of the man page: (title, [(term, text)])."""
    rows = [
        (f"{entry.name}={value_text(entry.default)}", f"{_sentence(entry.help)} Takes {entry.values}.")
        for entry in ingredients()
    ]
    return [("INGREDIENTS", rows)]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

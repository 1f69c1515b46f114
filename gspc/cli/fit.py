"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, fit_settings, options, scene_report
from gspc.cli.progress import FitView, duration
from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.errors import UsageError
from gspc.presets import DEFAULT_PRESET, PRESETS
from gspc.switches import as_text, describe, ingredients, value_text

EXAMPLE = "gspc fit photos -o model.pt --resolution 2 --levels 3"


def command(
    scene: Annotated[
        Path,
        typer.Argument(
            metavar="SCENE",
            show_default=False,
            help="A COLMAP directory (images/ and sparse/0/), one with a transforms.json or Blender's "
            "transforms_train.json, or with --reconstruct one of photographs alone.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The model to write. Required, except with --dry-run.",
        ),
    ] = None,
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
    masks: options.Masks = None,
    field: options.FieldOfView = None,
    exif: options.ExifWish = None,
    cache: options.PhotoCache = None,
    strict: options.Strict = False,
    reconstruct: Annotated[
        bool,
        typer.Option(
            "--reconstruct",
            help="Find the cameras of a directory of photographs first and keep them there (needs "
            "gspc[colmap]).",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what was understood of SCENE and train nothing.")
    ] = False,
    json_report: Annotated[bool, typer.Option("--json", help="With --dry-run: report as JSON.")] = False,
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
        "background": background.value if background else None,
        "image_cache": image_cache,
        "masks": masks,
        "field": field.value if field else None,
        "exif": exif.value if exif else None,
        "cache": cache,
        "strict": strict or None,
        "voxel_size": voxel_size,
        "seed": seed,
        "device": device,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
        "heads_precision": heads_precision.value if heads_precision else None,
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
    if dry_run:
        scene_report.show(scene, data, as_json=json_report)
        return
    if output is None or json_report:
        raise UsageError(
            "-o is missing: name the model to write" if output is None else "--json needs --dry-run"
        )
    for path in (output, log):
        if path is not None:
            check_target(path, force=force or (resume and checkpoint_path(output).exists()))
    options.limit_threads(thread_count or 0)
    with FitView() as view:
        if reconstruct:
            pipeline.reconstruct(scene, view)
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

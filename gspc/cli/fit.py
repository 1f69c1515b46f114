"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gspc.cli import console, fit_options, fit_settings, options, process, scene_report
from gspc.cli.progress import FitView, duration
from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.errors import OutputError, UsageError
from gspc.presets import DEFAULT_PRESET, PRESETS
from gspc.recipe import ingredients, value_text
from gspc.switches import as_text, describe

EXAMPLE = "gspc fit photos -o model.pt --resolution 2 --levels 3"


def command(
    scene: fit_options.Scene,
    output: fit_options.Output = None,
    preset: fit_options.Preset = None,
    switches: fit_options.Switches = None,
    config: fit_options.Config = None,
    iterations: fit_options.Iterations = None,
    levels: fit_options.Levels = None,
    rate_weights: fit_options.RateWeights = None,
    resolution: options.Resolution = None,
    images: options.Images = None,
    hold: fit_options.Hold = None,
    background: fit_options.Background = None,
    image_cache: fit_options.ImageCache = None,
    masks: options.Masks = None,
    field: options.FieldOfView = None,
    exif: options.ExifWish = None,
    cache: options.PhotoCache = None,
    strict: options.Strict = False,
    cameras: options.TeacherCameras = None,
    reconstruct: fit_options.Reconstruct = False,
    dry_run: fit_options.DryRun = False,
    json_report: fit_options.JsonReport = False,
    voxel_size: fit_options.VoxelSize = None,
    seed: fit_options.Seed = None,
    device: fit_options.Device = None,
    threads: fit_options.Threads = None,
    checkpoint_every: fit_options.CheckpointEvery = None,
    resume: fit_options.Resume = False,
    log: fit_options.Log = None,
    max_anchors: fit_options.MaxAnchors = None,
    heads_precision: fit_options.HeadsPrecision = None,
    force: options.Force = False,
) -> None:
    """Train a model from photographs with known cameras, or from a splat of another tool.

    Where there are no photographs, pictures of a trained splat stand in for them, from cameras that are
    placed around it or within it, or from those that --cameras names.

    Checkpoints lie beside the output as FILE.checkpoint. Ctrl-C saves one and exits; --resume goes on
    from it.
    """
    given = {
        "iterations": iterations,
        "levels": levels,
        "rate_weights": options.rate_weights(rate_weights),
        "resolution": resolution,
        "images": images,
        "hold": hold,
        "background": background,
        "image_cache": image_cache,
        "masks": masks,
        "field": field,
        "exif": exif,
        "cache": cache,
        "strict": strict or None,
        "cameras": cameras,
        "voxel_size": voxel_size,
        "seed": seed,
        "device": device,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
        "max_anchors": max_anchors,
        "heads_precision": heads_precision,
    }
    chosen = fit_settings.choose(preset, switches or (), config)
    data, fit = _options(chosen, given, resume=resume, log=log)
    if dry_run:
        scene_report.show(scene, data, as_json=json_report)
        return
    if output is None:
        raise UsageError("-o is missing: name the model to write")
    if json_report:
        raise UsageError("--json needs --dry-run")
    _train(scene, output, data, fit, reconstruct=reconstruct, force=force)


def _options(
    chosen: fit_settings.Chosen, given: Mapping[str, Any], *, resume: bool, log: Path | None
) -> tuple[DataOptions, FitOptions]:
    """Options of the photographs and of the training: `given` on the command line, else those of the config
    file. Raises UsageError."""
    values = {**chosen.options, **{name: value for name, value in given.items() if value is not None}}
    values["threads"] = values.get("threads") or None
    of_data = {entry.name for entry in fields(DataOptions)}
    data = DataOptions(**{name: value for name, value in values.items() if name in of_data})
    fit = FitOptions(
        **{name: value for name, value in values.items() if name not in of_data},
        resume=resume,
        log=log,
        recipe=chosen.recipe,
        metadata=chosen.metadata,
    )
    return data, fit


def _train(
    scene: Path, output: Path, data: DataOptions, fit: FitOptions, *, reconstruct: bool, force: bool
) -> None:
    from gspc import pipeline
    from gspc.output import check_target

    checkpoint = checkpoint_path(output)
    if checkpoint.exists() and not (fit.resume or force):
        raise OutputError(
            f"{checkpoint}: a fit of this output was interrupted; --resume goes on from it, -f starts anew"
        )
    for path in (output, fit.log):
        if path is not None:
            check_target(path, force=force or (fit.resume and checkpoint.exists()))
    process.limit_threads(fit.threads or 0)
    process.keep_freed_memory()
    with FitView() as view:
        if reconstruct:
            pipeline.reconstruct(scene, view)
        result = pipeline.fit(scene, output, data, fit, view)
    console.note(
        f"{result.path}: {result.anchors:,} anchors, training PSNR {result.psnr:.2f} dB, "
        + ("" if result.held_out is None else f"held-out {result.held_out:.2f} dB, ")
        + duration(result.seconds)
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
        for entry in ingredients().values()
    ]
    return [("INGREDIENTS", rows)]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

"""`gspc fit`: photographs to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.cli import fit_help, fit_options, fit_settings, options, process, scene_report, targets
from gspc.cli.progress import FitView, duration
from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.errors import OutputError, UsageError
from gspc.output import check_target

if TYPE_CHECKING:
    from gspc.pipeline import FitResult

EXAMPLE = "gspc fit photos -o model.pt --resolution 2 --levels 3"

# Suffixes of the files that a scene consists of. None of them is replaced by an output, even with -f.
OF_SCENES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".bmp",
    ".webp",
    ".json",
    ".bin",
    ".txt",
    ".ply",
    ".db",
}


def command(
    scene: fit_options.Scene,
    output: fit_options.Output = None,
    preset: fit_options.Preset = None,
    iterations: fit_options.Iterations = None,
    levels: fit_options.Levels = None,
    rate_weights: fit_options.RateWeights = None,
    target_size: fit_options.TargetSize = None,
    resolution: options.Resolution = None,
    resume: fit_options.Resume = False,
    reconstruct: fit_options.Reconstruct = False,
    preview: fit_options.Preview = None,
    dry_run: fit_options.DryRun = False,
    json_report: options.Json = None,
    force: options.Force = False,
    images: options.Images = None,
    hold: fit_options.Hold = None,
    background: fit_options.Background = None,
    masks: options.Masks = None,
    field: options.FieldOfView = None,
    exif: options.ExifWish = None,
    cache: options.PhotoCache = None,
    image_cache: fit_options.ImageCache = None,
    strict: options.Strict = False,
    cameras: options.TeacherCameras = None,
    device: fit_options.Device = None,
    threads: fit_options.Threads = None,
    checkpoint_every: fit_options.CheckpointEvery = None,
    branch: fit_options.Branch = None,
    pause_at: fit_options.PauseAt = None,
    log: fit_options.Log = None,
    switches: fit_options.Switches = None,
    config: fit_options.Config = None,
    voxel_size: fit_options.VoxelSize = None,
    max_anchors: fit_options.MaxAnchors = None,
    gpu_memory: fit_options.GpuMemory = None,
    gpus: fit_options.Gpus = None,
    seed: fit_options.Seed = None,
    heads_precision: fit_options.HeadsPrecision = None,
    heads_backend: fit_options.HeadsBackend = None,
    help_settings: fit_options.HelpSettings = False,
) -> None:
    """Train a model from photographs with known cameras, or from a splat of another tool.

    Where there are no photographs, pictures of a trained splat stand in for them, from cameras that are
    placed around it or within it, or from those that --cameras names.

    Checkpoints lie beside the output as FILE.checkpoint. Ctrl-C saves one and exits; --resume goes on
    from it.
    """
    given: dict[str, Any] = {
        **{name: value for name, value in locals().items() if name in fit_settings.OPTIONS},
        "rate_weights": options.rate_weights(rate_weights),
        "target_size": None if target_size is None else options.byte_count(target_size, "--target-size"),
        "strict": strict or None,
    }
    chosen = fit_settings.choose(preset, switches or (), config)
    own = {"resume": resume, "branch": branch, "pause_at": pause_at, "log": log}
    data, fit = _options(chosen, given, own)
    targets.check(json_report, force=force)
    if dry_run:
        scene_report.show(scene, data, json_report, force=force)
        return
    if output is None:
        raise UsageError("-o is missing: name the model to write")
    _check_outputs(scene, output, fit, force=force)
    if gpus is not None and gpus > 1:
        process.become_ranks(gpus)
    result = _train(scene, output, data, fit, reconstruct=reconstruct)
    if not process.first_rank():
        return
    targets.note(
        f"{result.path}: {result.anchors:,} anchors, training PSNR {result.psnr:.2f} dB, "
        + ("" if result.held_out is None else f"held-out {result.held_out:.2f} dB, ")
        + duration(result.seconds),
        json_report,
    )
    if json_report is not None:
        targets.report(json_report, as_json(result, scene, fit), stdout_taken=False, force=force)


def _options(
    chosen: fit_settings.Chosen, given: Mapping[str, Any], own: Mapping[str, Any]
) -> tuple[DataOptions, FitOptions]:
    """Options of the photographs and of the training: `given` on the command line, else those of the config
    file; `own` belong to one run and are in no file. Raises UsageError."""
    values = {**chosen.options, **{name: value for name, value in given.items() if value is not None}}
    values["threads"] = values.get("threads") or None
    of_data = {entry.name for entry in fields(DataOptions)}
    data = DataOptions(**{name: value for name, value in values.items() if name in of_data})
    fit = FitOptions(
        **{name: value for name, value in values.items() if name not in of_data},
        **own,
        recipe=chosen.recipe,
        metadata=chosen.metadata,
    )
    return data, fit


def _check_outputs(scene: Path, output: Path, fit: FitOptions, *, force: bool) -> None:
    """Refuses outputs that cannot be written or would replace the input, before any work."""
    if str(output) == "-":
        raise UsageError("-o -: checkpoints lie beside the model; name a file")
    if fit.log is not None and str(fit.log) == "-":
        raise UsageError("--log -: a resumed fit goes on with its log; name a file")
    checkpoint = checkpoint_path(output)
    if fit.branch is not None and fit.branch.resolve() == checkpoint.resolve():
        raise OutputError(f"{fit.branch}: the branch would replace it; name another output")
    if checkpoint.exists() and not (fit.resume or force):
        raise OutputError(
            f"{checkpoint}: a fit of this output was interrupted; --resume goes on from it, -f starts anew"
        )
    for path in (output, fit.log):
        if path is None:
            continue
        if path.exists() and path.suffix.lower() in OF_SCENES and _inside(path, scene):
            raise OutputError(f"{path}: belongs to the input; name another output")
        check_target(path, force=force or (fit.resume and checkpoint.exists()))


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _train(scene: Path, output: Path, data: DataOptions, fit: FitOptions, *, reconstruct: bool) -> FitResult:
    from gspc import pipeline

    process.limit_threads(fit.threads or 0)
    process.keep_freed_memory()
    if not process.first_rank():
        return pipeline.fit(scene, output, data, fit)
    with FitView() as view:
        if reconstruct:
            pipeline.reconstruct(scene, view)
        return pipeline.fit(scene, output, data, fit, view)


def as_json(result: FitResult, scene: Path, fit: FitOptions) -> dict[str, Any]:
    """The result as it is written with --json; psnr in dB; that of training
    views is smoothed, that of held-out ones of some of them, null without any."""
    return {
        "scene": str(scene),
        "output": str(result.path),
        "bytes": result.path.stat().st_size if result.path.is_file() else None,
        "stream_bytes": result.stream_bytes,
        "target_size": fit.target_size,
        "iterations": result.iterations,
        "levels": fit.level_count,
        "rate_weights": list(fit.weights),
        "seed": fit.seed,
        "anchors": result.anchors,
        "training_psnr": result.psnr,
        "held_out_psnr": result.held_out,
        "paused": result.paused,
        "seconds": result.seconds,
        "made_with": dict(fit.metadata),
    }


def more_help() -> list[str]:
    """A paragraph after the description: the presets."""
    return [fit_help.presets()]


def manual() -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of the man page: (title, [(term, text)])."""
    return [("PRESETS", fit_help.changes()), ("INGREDIENTS", fit_help.rows())]

"""Arguments and options of `gspc fit`, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import fit_help, options
from gspc.config import DataOptions, FitOptions
from gspc.presets import DEFAULT_PRESET, PRESETS

# Sections of help.
SETTINGS = "Settings of the model and its training"
RUN = "How it runs"

Scene = Annotated[
    Path,
    typer.Argument(
        metavar="SCENE",
        show_default=False,
        help="A COLMAP directory (images/ and sparse/0/), one with a transforms.json or Blender's "
        "transforms_train.json, or with --reconstruct one of photographs alone; or a splat of another tool "
        "(.ply, .spz, .sog, .splat, .ksplat, .glb), of which views are drawn.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="The model to write. Required, except with --dry-run.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        metavar="NAME",
        show_default=False,
        help=f"What is learned and how, one of {', '.join(PRESETS)}. Default: {DEFAULT_PRESET}.",
    ),
]
Switches = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        show_default=False,
        help="Replace one ingredient of the preset; may be given often.",
        rich_help_panel=SETTINGS,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Take preset, options and ingredients from a TOML file; the command line overrides it.",
        rich_help_panel=SETTINGS,
    ),
]
Iterations = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help="Training steps; by default the preset's, or else 30000 on CUDA, 3000 on a CPU.",
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(
        "--levels",
        metavar="S",
        help=f"Progressive levels to train; by default the preset's: {fit_help.default_levels()}.",
    ),
]
RateWeights = Annotated[
    str | None,
    typer.Option(
        "--rate-weights",
        metavar="A,B,...",
        help="How much bytes count against quality, for each level, coarsest first; larger weights make "
        f"smaller files. By default the preset's: {fit_help.default_rate_weights()}.",
    ),
]
TargetSize = Annotated[
    str | None,
    typer.Option(
        "--target-size",
        metavar="SIZE",
        help="Change the rate weights on the way so that the stream takes about this much, such as 5MB.",
    ),
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        metavar="N",
        help="Every N steps, draw a view beside its photograph into FILE.preview.png.",
    ),
]
Hold = Annotated[
    int | None,
    typer.Option(
        "--hold",
        metavar="N",
        help=f"Hold out every Nth view by name for eval; 0 for none. Default: {DataOptions.hold}.",
        rich_help_panel=options.PHOTOGRAPHS,
    ),
]
Background = Annotated[
    options.Background | None,
    typer.Option(
        "--background",
        metavar="auto|white|black",
        help="Color behind transparent pixels and the scene; auto looks at the photographs. "
        f"Default: {DataOptions.background}.",
        rich_help_panel=options.PHOTOGRAPHS,
    ),
]
ImageCache = Annotated[
    float | None,
    typer.Option(
        "--image-cache",
        metavar="GB",
        help="Memory for decoded photographs; those beyond are decoded each time they are used. "
        f"Default: {DataOptions.image_cache:g}.",
        rich_help_panel=options.PHOTOGRAPHS,
    ),
]
Reconstruct = Annotated[
    bool,
    typer.Option(
        "--reconstruct",
        help="Find the cameras of a directory of photographs first and keep them there (needs gspc[colmap]).",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what was understood of SCENE and train nothing.")
]
HelpSettings = Annotated[
    bool,
    typer.Option(
        "--help-settings",
        is_eager=True,
        callback=fit_help.show,
        help="List the presets and all ingredients with their meaning.",
        rich_help_panel=SETTINGS,
    ),
]
VoxelSize = Annotated[
    float | None,
    typer.Option(
        "--voxel-size",
        metavar="X",
        help="Edge of the anchor grid in scene units; by default measured.",
        rich_help_panel=SETTINGS,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help=f"Seed of everything random. Default: {FitOptions.seed}.",
        rich_help_panel=SETTINGS,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        help=f"Where to train; cuda:1 names one of several. Default: {FitOptions.device}.",
        rich_help_panel=RUN,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=0,
        help="Threads to use; 0 takes every core at hand. Default: 0.",
        rich_help_panel=RUN,
    ),
]
CheckpointEvery = Annotated[
    int | None,
    typer.Option(
        "--checkpoint-every",
        metavar="N",
        help=f"Steps between checkpoints; 0 for none. Default: {FitOptions.checkpoint_every}.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of this output.")]
Branch = Annotated[
    Path | None,
    typer.Option(
        "--branch",
        metavar="CHECKPOINT",
        show_default=False,
        help="Start from the checkpoint of another fit of SCENE, with its state of chance. Rate weights, "
        "target size and what training weighs may differ, so that two branches differ by that alone.",
        rich_help_panel=RUN,
    ),
]
PauseAt = Annotated[
    int | None,
    typer.Option(
        "--pause-at",
        metavar="N",
        help="Stop after step N with a checkpoint, from which --resume goes on and --branch starts.",
        rich_help_panel=RUN,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log", metavar="FILE", help="Write training records to FILE as JSON lines.", rich_help_panel=RUN
    ),
]
MaxAnchors = Annotated[
    int | None,
    typer.Option(
        "--max-anchors",
        metavar="N",
        help="Anchors that growth may reach. By default as many as half of the memory holds.",
        rich_help_panel=SETTINGS,
    ),
]
HeadsBackend = Annotated[
    options.HeadsBackend | None,
    typer.Option(
        "--heads-backend",
        metavar="auto|gspc|tinycudann",
        help="Who multiplies the matrices of the Gaussian heads while training; tinycudann must be installed "
        "and needs a CUDA device. Default: auto, which is gspc.",
        rich_help_panel=SETTINGS,
    ),
]
Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        metavar="G",
        min=1,
        help="Train on G GPUs together, each with views of its own: torchrun --nproc-per-node G -m gspc fit. "
        "A step then sees G views; give fewer --iterations.",
        rich_help_panel=RUN,
    ),
]
GpuMemory = Annotated[
    float | None,
    typer.Option(
        "--gpu-memory",
        metavar="GB",
        help="Memory of a GPU for photographs; those beyond are copied while the step before runs. "
        "By default a quarter of it.",
        rich_help_panel=RUN,
    ),
]
HeadsPrecision = Annotated[
    options.Precision | None,
    typer.Option(
        "--heads-precision",
        metavar="float32|bf16",
        help="Arithmetic of the Gaussian heads while training; bf16 needs a CUDA device.",
        rich_help_panel=SETTINGS,
    ),
]

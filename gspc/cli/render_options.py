"""Options of `gspc render`, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FRAMES = 150  # of gspc.pipeline.camera_paths, which loads more than help should

Cameras = Annotated[
    Path | None,
    typer.Option(
        "--cameras",
        metavar="DIR",
        help="Draw from the cameras of this scene's directory, which is read as fit reads it.",
    ),
]
View = Annotated[
    str | None,
    typer.Option(
        "--view",
        metavar="NAME|INDEX",
        help="One view, by name or by its number counted from 0, or from the end as -1.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="W|WxH",
        help="Size of the pictures in pixels. Of another shape they show more at two sides.",
    ),
]
Coarse = Annotated[
    bool,
    typer.Option(
        "--coarse",
        help="Leave out what was stored beside the prediction; for scenes with a feature pool.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR|FILE|-",
        help="A directory for the pictures; a film (.mp4, .mov, .mkv, .webm; needs gspc[video]); for one "
        "view also a picture (.png, .jpg), or - for stdout.",
    ),
]
CameraPath = Annotated[
    str | None,
    typer.Option(
        "--path",
        metavar="orbit|spiral|FILE",
        help="Move the camera: around the scene, around it up and down, or along a file's cameras or key "
        "poses.",
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        metavar="N",
        help=f"Pictures of a path. Default: {FRAMES}, or one for each camera of FILE.",
    ),
]
FPS = 30
Fps = Annotated[
    float | None,
    typer.Option(
        "--fps", metavar="N", min=0.1, max=1000, help=f"Pictures per second of a film. Default: {FPS}."
    ),
]
SourceFrame = Annotated[
    str | None,
    typer.Option(
        "--source-frame",
        metavar="XYZ",
        help="Where x, y and z of a splat of another tool point, such as RDF or RUB, if not as usual.",
    ),
]

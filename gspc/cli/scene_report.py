"""`gspc fit --dry-run`: what was understood of a scene, for people or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.cli import console, options, targets
from gspc.config import DataOptions

if TYPE_CHECKING:
    from gspc.pipeline import SceneReport, TeacherReport

SHOWN = 20  # of the things left out; --json has all


def show(scene: Path, data: DataOptions, json_report: str | None, *, force: bool) -> None:
    """Prints the report on stdout, or as JSON where that is asked for, and what was mended or left out on
    stderr. Raises InputError, OutputError."""
    from gspc import pipeline

    report = pipeline.understand(scene, data)
    options.say_notes(report.notes)
    if json_report is None or not targets.is_stdout(json_report):
        for line in lines(report):
            console.out(console.clean(line))
    targets.report(json_report, asdict(report), stdout_taken=False, force=force)


def lines(report: SceneReport) -> list[str]:
    """The report in words."""
    x, y, z = report.frame.center
    up = ", ".join(f"{value:.2f}" for value in report.frame.up)
    found = [f"scene        {report.scene}: {report.kind}, cameras from {report.model}"]
    found += _of_teacher(report.teacher) if report.teacher else [f"photographs  {report.photographs}"]
    for camera in report.cameras:
        straight = ", straightened" if camera.undistorted else ""
        used = f"used at {camera.used_width}x{camera.used_height}"
        size = f"{camera.width}x{camera.height}"
        found.append(f"cameras      {camera.views} of {camera.model} {size}, {used}{straight}")
    test = ", ".join(report.test[:6]) + (", ..." if len(report.test) > 6 else "")
    found += [
        f"split        {len(report.train)} to train on, {len(report.test)} held "
        f"out{': ' if test else ''}{test}",
        f"masks        {report.masks or 'none'}",
        "points       random ones, made by the fit"
        if report.points_from == "random"
        else f"points       {report.points:,} from {report.points_from}",
        f"background   {report.background}",
        f"frame        cameras around ({x:.4g}, {y:.4g}, {z:.4g}), radius {report.frame.radius:.4g}, up "
        f"({up})",
    ]
    found += [f"left out     {item.name}: {item.why}" for item in report.left_out[:SHOWN]]
    more = len(report.left_out) - SHOWN
    return found + ([f"left out     and {more} more; --json has all"] if more > 0 else [])


def _of_teacher(teacher: TeacherReport) -> list[str]:
    """What stands in for the photographs."""
    one, three = (f"{100 * share:.1f} %" for share in (teacher.seen_by_one, teacher.seen_by_three))
    return [
        f"teacher      {teacher.gaussians:,} Gaussians of a .{teacher.format}, harmonics of degree "
        f"{teacher.degree}",
        f"placing      {teacher.cameras}",
        f"coverage     training views show {one} of its opacity, three or more views {three}; "
        f"{100 * teacher.hidden:.1f} % is hidden",
    ]

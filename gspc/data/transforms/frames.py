"""Frames of transforms files as shots, sorted into their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gspc.data.layouts import TransformsLayout
from gspc.data.names import labels, plain
from gspc.data.report import Notes, counted, listed
from gspc.data.shots import Shot
from gspc.data.transforms.content import read_content
from gspc.data.transforms.intrinsics import Intrinsics, merged
from gspc.data.transforms.poses import world_to_camera
from gspc.errors import InputError

SPLITS = ("train_filenames", "val_filenames", "test_filenames")


@dataclass(frozen=True)
class _File:
    """One transforms file and the split it stands for; empty when its frames say that themselves."""

    path: Path
    part: str
    content: Mapping[str, Any]


def read_shots(layout: TransformsLayout, notes: Notes) -> list[Shot]:
    """All frames with a pose; `part` is set where the scene has a split of its own. Raises InputError."""
    files = _files(layout, notes)
    found: list[Shot] = []
    for file in files:
        shots = _shots(file, notes)
        if not file.part:
            shots = _listed_splits(file, shots, notes)
        found += shots
    kept = _once(files, found, notes)
    names = labels([shot.file for shot in kept])
    return [replace(shot, name=name) for shot, name in zip(kept, names, strict=True)]


def _files(layout: TransformsLayout, notes: Notes) -> list[_File]:
    """The files to read: of validation frames only where they stand in for test frames."""
    test, unused = layout.test, layout.val
    if test is None and layout.val is not None:
        test, unused = layout.val, None
        notes.say(f"{layout.val}: its frames are held out, as there is no transforms_test.json")
    if unused is not None:
        notes.say(f"{unused}: not used; transforms_test.json has the frames that are held out")
    train = _File(layout.train, "train" if test is not None else "", read_content(layout.train))
    return [train] if test is None else [train, _File(test, "test", read_content(test))]


def _shots(file: _File, notes: Notes) -> list[Shot]:
    """The frames of one file that have a pose."""
    shots, poseless, scaled = [], [], []
    for frame in file.content["frames"]:
        name = frame.get("file_path")
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InputError("a frame without file_path; write it again", source=str(file.path))
        pose, scale = world_to_camera(frame.get("transform_matrix"))
        if pose is None:
            poseless.append(plain(name))
            continue
        if scale != 1:
            scaled.append(scale)
        lens = Intrinsics(f"{file.path}: frame {plain(name)}", merged(file.content, frame))
        mask = frame.get("mask_path")
        mask = mask if isinstance(mask, str) else None
        shots.append(Shot(plain(name), name, pose, lens.size, lens.lens, mask, file.part))
    if any(frame.get("depth_file_path") for frame in file.content["frames"]):
        notes.say(f"{file.path}: its depth maps (depth_file_path) are not used")
    if poseless:
        notes.leave_out(poseless, "without a possible pose")
        notes.warn(
            f"{file.path}: {counted(len(poseless), 'frame')} left out, without a possible pose "
            f"(transform_matrix): {listed(poseless)}"
        )
    if scaled:
        notes.say(
            f"{file.path}: the camera matrices are scaled by {scaled[0]:.4g}; only their rotation and "
            "position "
            "are used"
        )
    return shots


def _listed_splits(file: _File, shots: list[Shot], notes: Notes) -> list[Shot]:
    """The split that train_filenames and its like make: test frames are held out, else validation frames."""
    lists = {key: _names(file, key) for key in SPLITS}
    if not any(lists.values()):
        return shots
    held = "test_filenames" if lists["test_filenames"] else "val_filenames"
    result, unused = [], []
    for shot in shots:
        if shot.name in lists[held]:
            result.append(replace(shot, part="test"))
        elif shot.name in lists["train_filenames"] or not lists["train_filenames"]:
            result.append(replace(shot, part="train"))
        else:
            unused.append(shot.name)
    if unused:
        notes.leave_out(unused, f"neither in train_filenames nor in {held}")
        notes.say(
            f"{file.path}: {counted(len(unused), 'frame')} not used, neither in train_filenames nor in "
            f"{held}: "
            f"{listed(unused)}"
        )
    return result


def _names(file: _File, key: str) -> set[str]:
    value = file.content.get(key)
    return {plain(name) for name in value if isinstance(name, str)} if isinstance(value, list) else set()


def _once(files: Sequence[_File], shots: Sequence[Shot], notes: Notes) -> list[Shot]:
    """Every photograph once: a test frame before a training frame, else the first."""
    kept: dict[str, Shot] = {}
    shared, twice = [], []
    for shot in shots:
        before = kept.get(shot.name)
        if before is None:
            kept[shot.name] = shot
        elif before.part == shot.part:
            twice.append(shot.name)
        else:
            shared.append(shot.name)
            kept[shot.name] = shot if shot.part == "test" else before
    if twice:
        notes.leave_out(twice, "listed twice")
        notes.say(f"{files[0].path}: listed twice, the first is used: {listed(twice)}")
    if shared:
        notes.leave_out(shared, "in both splits, held out only")
        notes.warn(
            f"{files[0].path}: {counted(len(shared), 'frame')} in both splits; held out and not trained on: "
            f"{listed(shared)}"
        )
    return list(kept.values())

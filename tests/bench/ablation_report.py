"""Tables of ablation.py: figures of every level of every run, and Bjontegaard differences of arms.

An arm is a variant on a scene with a seed; the levels of its streams are the points of its curve, without
those that another one beats. A difference is given for at least four points on both sides and 75 % overlap.
With several seeds it is the mean of the differences seed by seed, and their spread is the largest minus the
smallest; less than twice the spread is called unresolved. Beside it stands the difference of the seeds' mean
curves, with a standard error (jackknife over seeds) from three seeds on.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ablation_tables import (
    MEASURES,
    difference_table,
    notes,
    part_name,
    points_table,
    progress_table,
    table,
    variant_lines,
)

from gspc.metrics import Difference, bd_psnr, bd_rate
from gspc.pipeline.comparison import VARIABLE_COMPONENTS

Curve = list[tuple[float, float]]


def write(
    stem: Path, title: str, command: str, here: dict[str, Any], variants: Sequence[Any], runs: Sequence[Any]
) -> None:
    """Writes STEM.md and STEM.json from what is done."""
    found = [figures(run) for run in runs]
    rows = [row | {"progress": progress(row)} for row in found if row is not None]
    differences = [
        row
        for variant in variants
        if variant.against
        for scene in sorted({run.scene for run in runs})
        for row in _differences(variant, next(v for v in variants if v.name == variant.against), scene, rows)
    ]
    remarks = notes(rows, len(found) - len(rows))
    report = {
        "title": title,
        "command": command,
        "machine": here,
        "variants": {
            v.name: {"about": v.about, "preset": v.preset, "set": v.switches, "options": v.options}
            for v in variants
        },
        "runs": rows,
        "differences": differences,
        "notes": remarks,
    }
    _replace(stem.with_suffix(".json"), json.dumps(report, indent=1, default=str) + "\n")
    text = [f"# {title}", "", f"`{command}`", "", ", ".join(f"{key}: {value}" for key, value in here.items())]
    text += ["", *variant_lines(variants), "", *table(*points_table(rows))]
    if any(row["progress"] for row in rows):
        text += [
            "",
            "Levels of one stream, from each to the next (smallest) and from the first to the last:",
            "",
        ]
        text += table(*progress_table(rows))
    if differences:
        text += ["", "Bjontegaard differences (PCHIP); without a figure, the reason:", ""]
        text += table(*difference_table(differences))
    text += ["", *(f"- {note}" for note in remarks)]
    _replace(stem.with_suffix(".md"), "\n".join(text).rstrip() + "\n")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)


# ---- figures of a run ----


def figures(run: Any) -> dict[str, Any] | None:
    """All figures of a finished run, None for another."""
    try:
        state = json.loads((run.folder / "run.json").read_text())
        steps = state["steps"]
        scores = json.loads((run.folder / "eval.json").read_text())
        inside = json.loads((run.folder / "inspect.json").read_text())
        if "inspect" not in steps:
            return None
    except (OSError, ValueError, KeyError):
        return None
    training = _training_psnr(run.folder / "all.json", scores) if "training-views" in steps else {}
    fit, estimated = steps["fit"], steps["fit"]["estimated_bytes"]
    levels = [
        _level(row, inside, run.settings["rate_weights"], steps["decompress"]["seconds"])
        | {"training_psnr": training.get(row["level"])}
        for row in scores["levels"]
    ]
    return {
        "variant": run.variant,
        "scene": run.scene,
        "seed": run.seed,
        "stream": run.stream + 1,
        "folder": run.folder.name,
        "commit": state.get("commit", ""),
        "backend": fit["backend"],
        "iterations": run.settings.get("iterations"),
        "views": scores["views"],
        "fit_seconds": fit["seconds"],
        "fit_resumed": fit["resumed"],
        "encode_seconds": steps["compress"]["seconds"],
        "estimated_bytes": estimated,
        "estimate_error_percent": 100 * (estimated / levels[-1]["bytes"] - 1) if estimated else None,
        "levels": levels,
    }


def _training_psnr(path: Path, held_out: dict[str, Any]) -> dict[int, float]:
    """Mean PSNR by level over those views of a report of all views that are not held out."""
    found = {}
    for level in json.loads(path.read_text())["levels"]:
        names = {view["view"] for view in held_out["levels"][0]["views"]}
        scores = [view["psnr"] for view in level["views"] if view["view"] not in names]
        if scores and None not in scores:
            found[level["level"]] = sum(scores) / len(scores)
    return found


def _level(
    row: dict[str, Any], inside: dict[str, Any], weights: Sequence[float], decode: Sequence[float]
) -> dict[str, Any]:
    level = row["level"]
    added = next(entry for entry in inside["by_level"] if entry["level"] == level)
    against = next(e for e in inside["features_against_others"] if e["up_to_level"] == level)
    adds = {part_name(part["name"], part["how"]): part["bytes"] for part in added["parts"]}
    if level == 1 and against["pool_grid_bytes"]:
        adds["pool grid"] = against["pool_grid_bytes"]
        adds["grid"] = adds.get("grid", 0) - adds["pool grid"]
    fixed = sum(size for name, size in row["components"].items() if name not in VARIABLE_COMPONENTS)
    ideal = {e["name"]: e["model_bits"] / 8 for e in inside.get("rates", ()) if e["level"] == level}
    return {
        "level": level,
        "rate_weight": weights[level - 1],
        "psnr": row["psnr"],
        "ssim": row["ssim"],
        "lpips": row["lpips"],
        "bytes": row["bytes"],
        "variable_bytes": row["bytes"] - fixed,
        "feature_bytes": against["feature_bytes"],
        "decode_seconds": decode[level - 1],
        "anchors": added["anchors"],
        "anchor_share": added["anchor_share"],
        "gaussians": added["gaussians"],
        "gaussian_share": added["gaussian_share"],
        "adds": adds,
        "ideal_bytes": ideal,
    }


def progress(row: dict[str, Any]) -> dict[str, Any] | None:
    """How the levels of a run go up, None for one level: smallest steps in bytes and PSNR, gain and share."""
    levels = row["levels"]
    held_out, training = ([level[key] for level in levels] for key in ("psnr", "training_psnr"))
    if len(levels) < 2 or None in held_out:
        return None

    def smallest(values: Sequence[float]) -> float:
        return min(after - before for before, after in itertools.pairwise(values))

    return {
        "smallest_step_bytes": smallest([level["bytes"] for level in levels]),
        "smallest_step_psnr": smallest(held_out),
        "gain_psnr": held_out[-1] - held_out[0],
        "smallest_step_training_psnr": None if None in training else smallest(training),
        "first_level_share_percent": 100 * levels[0]["bytes"] / levels[-1]["bytes"],
    }


# ---- differences ----


def _differences(
    variant: Any, reference: Any, scene: str, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """One row per measure of an arm against its reference on a scene."""
    arms = [
        {seed: _points(arm, scene, seed, rows) for seed in _complete_seeds(arm, scene, rows)}
        for arm in (reference, variant)
    ]
    seeds = sorted(set(arms[0]) & set(arms[1]))
    found = []
    for measure in MEASURES if seeds else ():
        row: dict[str, Any] = {"variant": variant.name, "against": reference.name, "scene": scene}
        row |= {"measure": measure, "seeds": seeds}
        for name, function in (("bd_rate_percent", bd_rate), ("bd_psnr_db", bd_psnr)):
            curves = [[front(arm[seed], measure) for arm in arms] for seed in seeds]
            row[name] = _summary([function(*pair) for pair in curves])
            row[name]["of_means"] = _of_mean_curves(function, arms, seeds, measure)
        found.append(row)
    return found


def _of_mean_curves(
    function: Callable[..., Difference],
    arms: Sequence[dict[int, list[dict[str, Any]]]],
    seeds: Sequence[int],
    measure: str,
) -> dict[str, Any]:
    def of(chosen: Sequence[int]) -> Difference:
        return function(
            *(front(_mean_points([arm[seed] for seed in chosen], measure), measure) for arm in arms)
        )

    whole = of(seeds)
    found = {"value": whole.value, "why": whole.why, "overlap": whole.overlap, "error": None}
    if len(seeds) > 2 and whole.value is not None:  # of two seeds it says next to nothing
        without = [of([seed for seed in seeds if seed != left_out]).value for left_out in seeds]
        found["error"] = jackknife_error([value for value in without if value is not None], len(seeds))
    return found


def jackknife_error(without: Sequence[float], seeds: int) -> float | None:
    """Standard error from the values that leave one seed out each; None when one of those has none."""
    if len(without) != seeds:
        return None
    mean = sum(without) / seeds
    return math.sqrt((seeds - 1) / seeds * sum((value - mean) ** 2 for value in without))


def _complete_seeds(variant: Any, scene: str, rows: list[dict[str, Any]]) -> set[int]:
    """Seeds of which every stream is done."""
    streams: dict[int, int] = {}
    for row in rows:
        if (row["variant"], row["scene"]) == (variant.name, scene):
            streams[row["seed"]] = streams.get(row["seed"], 0) + 1
    return {seed for seed, count in streams.items() if count == len(variant.streams)}


def _points(variant: Any, scene: str, seed: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        if (row["variant"], row["scene"], row["seed"]) == (variant.name, scene, seed):
            last = row["levels"][-1]["level"]
            wanted = {"all": range(1, last + 1), "last": (last,)}.get(str(variant.points), variant.points)
            found += [
                level for level in row["levels"] if level["level"] in wanted and level["psnr"] is not None
            ]
    return found


def _mean_points(seeds: Sequence[Sequence[dict[str, Any]]], measure: str) -> list[dict[str, Any]]:
    """The seeds' points of the same stream and level, averaged; none where a seed has not all of them."""
    if len({len(points) for points in seeds}) != 1:
        return []
    keys = (measure, "psnr")
    return [
        {key: sum(point[key] for point in same) / len(same) for key in keys}
        for same in zip(*seeds, strict=True)
    ]


def front(points: Iterable[dict[str, Any]], measure: str) -> Curve:
    """The points that no other one beats, strictly rising in rate and PSNR."""
    kept: Curve = []
    for point in sorted(points, key=lambda point: (point[measure], -point["psnr"])):
        if point[measure] > 0 and (not kept or point["psnr"] > kept[-1][1]):
            kept.append((point[measure], point["psnr"]))
    return kept


def _summary(found: Sequence[Any]) -> dict[str, Any]:
    """Mean and spread of `gspc.metrics.Difference` of several seeds."""
    values = [difference.value for difference in found]
    overlap = min(difference.overlap for difference in found)
    why = next((difference.why for difference in found if difference.value is None), "")
    if why:
        return {"value": None, "why": why, "seeds": values, "overlap": overlap}
    mean, spread = sum(values) / len(values), max(values) - min(values)
    resolved = abs(mean) >= 2 * spread if len(values) > 1 else None
    return {"value": mean, "spread": spread, "resolved": resolved, "seeds": values, "overlap": overlap}


# ---- text ----

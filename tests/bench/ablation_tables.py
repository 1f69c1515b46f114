"""How the report of ablation.py reads: its tables and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

PARTS = tuple((name, how) for name in ("features", "scaling", "offsets") for how in ("new", "refined"))
COMPONENTS = ("positions", "masks", "grid", "pool grid", "networks", "heads")
# What counts as rate: all bytes; those that grow with the scene; those of features, the pool's own grid
# included.
MEASURES = {
    "bytes": "all bytes",
    "variable_bytes": "without fixed bytes",
    "feature_bytes": "features alone",
}


def part_name(name: str, how: str | None) -> str:
    return f"{name} {how}" if how else name


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def variant_lines(variants: Sequence[Any]) -> list[str]:
    return [
        f"- {v.name}: preset {v.preset}"
        + "".join(f" {name}={value}" for name, value in {**v.options, **v.switches}.items())
        + (f"; curve of {v.points} levels" if v.points != "all" else "")
        + (f"; {v.about}" if v.about else "")
        for v in variants
    ]


def points_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Bytes by component are what a level adds, times those of the whole run."""
    parts = [part_name(*part) for part in PARTS] + list(COMPONENTS)
    header = ["scene", "variant", "seed", "stream", "level", "weight", "PSNR dB", "SSIM", "LPIPS", "bytes"]
    header += [
        "anchors",
        *(f"+ {name}" for name in parts),
        "+ other",
        "fit s",
        "encode s",
        "decode s",
        "estimate",
    ]
    found = []
    for row in rows:
        for level in row["levels"]:
            adds = level["adds"]
            other = sum(size for name, size in adds.items() if name not in parts)
            last = level is row["levels"][-1]
            error = row["estimate_error_percent"]
            found.append(
                [row["scene"], row["variant"], str(row["seed"]), str(row["stream"]), str(level["level"])]
                + [f"{level['rate_weight']:g}", _number(level["psnr"], 2), _number(level["ssim"], 4)]
                + [_number(level["lpips"], 4), f"{level['bytes']:,}", f"{level['anchors']:,}"]
                + [f"{adds.get(name, 0):,}" for name in parts]
                + [f"{other:,}", f"{row['fit_seconds']:.0f}{'*' if row['fit_resumed'] else ''}"]
                + [f"{row['encode_seconds']:.2f}", f"{level['decode_seconds']:.2f}"]
                + [f"{error:+.1f} %" if last and error is not None else ""]
            )
    return header, found


def progress_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = ["scene", "variant", "seed", "stream", "bytes", "held-out dB", "training dB", "gain dB"]
    found = []
    for row in rows:
        if row["progress"]:
            up = row["progress"]
            cells = [row["scene"], row["variant"], str(row["seed"]), str(row["stream"])]
            cells += [f"{up['smallest_step_bytes']:+,}", f"{up['smallest_step_psnr']:+.3f}"]
            cells += [_number(up["smallest_step_training_psnr"], 3), f"{up['gain_psnr']:+.2f}"]
            found.append([*cells, f"{up['first_level_share_percent']:.0f} %"])
    return [*header, "first level's bytes"], found


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def difference_table(differences: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = ["scene", "variant", "against", "rate", "BD-rate", "BD-PSNR", "overlap", "seeds"]
    header += ["BD-rate of means", "BD-PSNR of means", "overlap of means"]
    found = []
    for row in differences:
        rate, psnr = row["bd_rate_percent"], row["bd_psnr_db"]
        cells = [row["scene"], row["variant"], row["against"], MEASURES[row["measure"]]]
        cells += [_difference(rate, 1, " %"), _difference(psnr, 2, " dB")]
        cells += [f"{100 * rate['overlap']:.0f} %", str(len(row["seeds"]))]
        cells += [_of_means(rate, 1, " %"), _of_means(psnr, 2, " dB")]
        found.append([*cells, f"{100 * rate['of_means']['overlap']:.0f} %"])
    return header, found


def _of_means(found: dict[str, Any], digits: int, unit: str) -> str:
    whole = found["of_means"]
    if whole["value"] is None:
        return str(whole["why"])
    error = "" if whole["error"] is None else f" ± {whole['error']:.{digits}f}"
    return f"{whole['value']:+.{digits}f}{error}{unit}"


def _difference(found: dict[str, Any], digits: int, unit: str) -> str:
    if found["value"] is None:
        return found["why"]
    text = f"{found['value']:+.{digits}f}{unit}"
    if found["resolved"] is None:
        return text
    each = ", ".join(f"{value:+.{digits}f}" for value in found["seeds"])
    return f"{text} ({each})" if found["resolved"] else f"unresolved ({each})"


def notes(rows: list[dict[str, Any]], missing: int) -> list[str]:
    found = [
        "A level's + columns are bytes that it adds; symbols and escapes are divided by their ideal bits. "
        "Times are wall seconds of whole commands, start of the interpreter included; the fit's of the "
        "whole run.",
        "Of means: of the curves through the seeds' mean sizes and PSNRs of each stream and level; ± is the "
        "standard error over seeds (jackknife).",
        "Estimate: what training last expected of the whole file, against its bytes.",
    ]
    if missing:
        found.append(f"{missing} runs are not done.")
    if any(row["fit_resumed"] for row in rows):
        found.append("* the fit was interrupted; iterations after its last checkpoint count twice.")
    for what in ("commit", "backend", "views"):
        values = sorted({row[what] for row in rows})
        if values:
            warning = "Beware, several: " if len(values) > 1 and what != "backend" else ""
            found.append(f"{what.capitalize()}: {warning}{'; '.join(values)}.")
    return found

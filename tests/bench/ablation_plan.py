"""What ablation.py is to run: lists of variants (format: lists/main.toml), and the runs they come to."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gspc.cli.fit_settings import OPTIONS
from gspc.errors import GspcError
from gspc.presets import DEFAULT_PRESET, preset
from gspc.switches import with_switches

LISTS = Path(__file__).resolve().parent / "lists"
RESOLUTION = {"fox": 2, "fern": 1, "lego": 1, "bonsai-small": 1}
OWN_KEYS = {"like", "preset", "set", "streams", "points", "against", "scenes", "about"}


@dataclass(frozen=True)
class Variant:
    """One line of a list. `streams`: rate weights of each stream, None for the preset's own."""

    name: str
    preset: str
    switches: dict[str, Any]
    options: dict[str, Any]
    streams: tuple[tuple[float, ...] | None, ...]
    points: Any  # "all", "last" or levels: which of the streams' levels make up the curve
    against: str | None
    scenes: tuple[str, ...] | None
    about: str


@dataclass(frozen=True)
class Run:
    """One stream of a variant on a scene with a seed."""

    variant: str
    scene: str
    source: Path
    seed: int
    stream: int
    settings: dict[str, Any]  # of the file for --config
    folder: Path


def read_list(name: str, overrides: dict[str, Any]) -> tuple[str, list[Variant]]:
    """Title and variants of a list; `overrides` are options that replace those of the list."""
    path = LISTS / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SystemExit(f"{path}: {error}") from None
    defaults = values.get("defaults", {})
    entries = values["variants"]
    found = [_variant(f"{path}: {key}", key, defaults, entries) for key in entries]
    found = [replace(variant, options={**variant.options, **overrides}) for variant in found]
    names = {variant.name for variant in found}
    for variant in found:
        if variant.against is not None and variant.against not in names:
            raise SystemExit(f"{path}: {variant.name}: against = {variant.against}: no such variant")
    return values.get("title", path.stem), found


def _variant(where: str, name: str, defaults: dict[str, Any], entries: dict[str, Any]) -> Variant:
    entry = entries[name]
    like = entry.get("like")
    if like is not None and like not in entries:
        raise SystemExit(f"{where}: like = {like}: no such variant")
    base = {} if like is None else {**entries[like], "against": like, "about": ""}
    merged = {**defaults, **base, **entry}
    unknown = set(merged) - OWN_KEYS - set(OPTIONS)
    if unknown:
        raise SystemExit(f"{where}: unknown key {', '.join(sorted(unknown))}")
    streams = tuple(tuple(map(float, weights)) for weights in merged.get("streams", ())) or (None,)
    against = merged.get("against")
    return Variant(
        name=name,
        preset=merged.get("preset", DEFAULT_PRESET),
        switches={**defaults.get("set", {}), **base.get("set", {}), **entry.get("set", {})},
        options={key: merged[key] for key in OPTIONS if key in merged},
        streams=streams,
        points=merged.get("points", "all"),
        against=None if against == name else against,
        scenes=tuple(merged["scenes"]) if "scenes" in merged else None,
        about=merged.get("about", ""),
    )


def plan(
    variants: Sequence[Variant], scenes: Sequence[str], seeds: Sequence[int], data: Path, work: Path
) -> list[Run]:
    """All runs, those of the first seed first; a scene is a folder or a name below `data`."""
    found: list[Run] = []
    for seed in seeds:
        for text in scenes:
            source = Path(text) if Path(text).is_dir() else data / text
            if not source.is_dir():
                raise SystemExit(f"{text}: no such scene, here or in {data}")
            for variant in variants:
                if variant.scenes is None or source.name in variant.scenes:
                    found += _runs(variant, source, seed, work)
    return found


def _runs(variant: Variant, source: Path, seed: int, work: Path) -> Iterator[Run]:
    for number, weights in enumerate(variant.streams):
        options = {"resolution": RESOLUTION.get(source.name), **variant.options, "seed": seed}
        options = {key: value for key, value in options.items() if value is not None}
        try:
            recipe = with_switches(preset(variant.preset), variant.switches, f"variant {variant.name}")
        except GspcError as error:
            raise SystemExit(str(error)) from None
        levels = len(weights) if weights else options.get("levels") or recipe.levels.levels
        options |= {"levels": levels, "rate_weights": list(weights or recipe.rate.weights(levels))}
        everything = json.dumps([source.name, options, recipe.values()], sort_keys=True)
        key = hashlib.sha256(everything.encode()).hexdigest()[:12]
        settings = {"preset": variant.preset, **options, "set": variant.switches}
        yield Run(variant.name, source.name, source, seed, number, settings, work / f"{source.name}-{key}")


def as_toml(values: dict[str, Any]) -> str:
    """Plain values, lists of numbers, and tables of plain values, which come last."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"

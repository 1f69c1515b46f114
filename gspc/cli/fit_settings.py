"""What a fit is asked for: preset, configuration file and command line, each overriding the one before."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gspc.errors import InputError, UsageError
from gspc.presets import DEFAULT_PRESET, PRESETS, nearest
from gspc.recipe import Recipe, ingredients
from gspc.switches import chosen, read_switches

MAX_BYTES = 1 << 15  # of a file; a key of more parts than fit takes its reader minutes
# Options of fit that a configuration file may hold, and their kinds. Not what belongs to one run: the scene,
# the output, --log, --resume, --branch, --pause-at and --force.
OPTIONS: Mapping[str, type] = {
    "iterations": int,
    "levels": int,
    "rate_weights": tuple,
    "target_size": int,
    "preview": int,
    "resolution": int,
    "images": Path,
    "hold": int,
    "background": str,
    "image_cache": float,
    "masks": Path,
    "field": str,
    "exif": str,
    "cache": Path,
    "strict": bool,
    "cameras": Path,
    "voxel_size": float,
    "seed": int,
    "device": str,
    "threads": int,
    "checkpoint_every": int,
    "max_anchors": int,
    "gpu_memory": float,
    "heads_precision": str,
    "heads_backend": str,
}
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text",
    tuple: "a list of numbers",
}


@dataclass(frozen=True)
class Settings:
    """Content of a configuration file."""

    preset: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)  # of their types


@dataclass(frozen=True)
class Chosen:
    """The recipe of a fit, the options that the file gives, and what the model says about its making."""

    recipe: Recipe
    options: Mapping[str, Any]
    metadata: Mapping[str, str]


def choose(name: str | None, switches: Sequence[str], config: Path | None) -> Chosen:
    """Preset < configuration file < command line. Raises UsageError, InputError."""
    file = read_settings(config) if config is not None else Settings()
    used = name or file.preset or DEFAULT_PRESET
    wanted = {**file.switches, **read_switches(_split(switches))}
    recipe, made = chosen(used, wanted)
    # An option of the file must not undo an ingredient of the same name that overrides it.
    kept = {name: value for name, value in file.options.items() if name not in wanted}
    return Chosen(recipe, kept, made)


def _split(switches: Sequence[str]) -> dict[str, str]:
    """'name=value' of --set; the last one of a name counts."""
    found = {}
    for switch in switches:
        name, sign, value = switch.partition("=")
        if not (sign and name.strip() and value.strip()):
            raise UsageError(f"--set {switch}: give NAME=VALUE, such as features=16")
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def read_settings(path: Path) -> Settings:
    """Reads a TOML file with the keys `preset`, those of OPTIONS, and a table `set` of ingredients."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UsageError(f"{path}: is larger than {MAX_BYTES >> 10} kB, which no settings of a fit are")
        values = tomllib.loads(text.decode())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path given to --config") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except RecursionError:
        raise UsageError(f"{path}: is not TOML that can be read (nested too deeply)") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, or an integer of thousands of digits
        raise UsageError(f"{path}: is not TOML that can be read ({error})") from None
    name, options = None, {}
    switches = values.pop("set", {})
    if not isinstance(switches, dict):
        raise UsageError(f"{path}: set: give a table of ingredients, [set]")
    for written, value in values.items():
        key = written.replace("-", "_")
        if key == "preset":
            if not isinstance(value, str) or value not in PRESETS:
                raise UsageError(f"{path}: preset = {value}: give one of {', '.join(PRESETS)}")
            name = value
        elif key in OPTIONS:
            options[key] = _option(path, key, value)
        elif key in ingredients():
            raise UsageError(f"{path}: {written} is an ingredient; put it below [set]")
        else:
            known = ("preset", "set", *OPTIONS, *ingredients())
            raise UsageError(f"{path}: no option {written}{nearest(key, known)}")
    return Settings(name, options, read_switches(switches, str(path)))


def _option(path: Path, name: str, value: Any) -> Any:
    kind = OPTIONS[name]
    wrong = UsageError(f"{path}: {name} = {value}: give {KINDS[kind]}")
    if kind is tuple:
        if not isinstance(value, list) or not all(type(v) in (int, float) for v in value):
            raise wrong
        return tuple(map(float, value))
    if kind is Path:
        if not isinstance(value, str):
            raise wrong
        return path.parent / value
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise wrong from None
    if type(value) is not kind:
        raise wrong
    return value

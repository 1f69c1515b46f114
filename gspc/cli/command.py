"""A subcommand as typer makes it, with two habits of ours: help in sections without noise, and `--json` whose
file may be left out."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from gspc.errors import UsageError

COMMON = "Common options"


def with_report_names(args: Sequence[str]) -> list[str]:
    """`--json` with the file that follows it, or with - for stdout.

    A word belongs to `--json` when it is - or ends in .json, so that `gspc compress --json model.pt` still
    names its input. Any other file is given as `--json=FILE`.
    """
    found: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*found, word, *rest]
        if word == "--json":
            follows = bool(rest) and (rest[0] == "-" or rest[0].lower().endswith(".json"))
            word = f"--json={rest.pop(0) if follows else '-'}"
        found.append(word)
    return found


def refuse_empty(args: Sequence[str]) -> None:
    """Raises UsageError for an empty argument. It comes of a shell's variable that is not set, and as a path
    it would be the working directory."""
    for before, word in zip(("", *args), args, strict=False):
        if word == "--":
            return
        if not word or (word.startswith("--") and word.endswith("=")):
            name = word.removesuffix("=") or (before if before.startswith("-") else "an argument")
            raise UsageError(f"{name} is empty; give it a value, or leave it out")


def default_text(parameter: Any) -> str:
    """The default of an option as help says it; empty where it has none or its text says it already."""
    default = parameter.default
    if isinstance(default, enum.Enum):
        default = default.value
    if default is None or default is False or default in ("", -1) or callable(default):
        return ""
    return "" if "Default:" in (parameter.help or "") else f" Default: {default}."


class Command(TyperCommand):
    """A subcommand of gspc."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments; see `with_report_names`. Raises UsageError for an empty one, and for nan,
        which no range keeps out."""
        refuse_empty(args)
        rest = super().parse_args(ctx, with_report_names(args))
        for parameter in self.get_params(ctx):
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and math.isnan(value):
                raise UsageError(f"{parameter.opts[0]} nan: give a number")
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: what must be given stands as it is, the rest in brackets."""
        pieces = ["[OPTIONS]"]
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                name = parameter.metavar or str(parameter.name).upper()
                pieces.append(name if parameter.required else f"[{name}]")
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options by section; those of every command come last."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                name = parameter.metavar or str(parameter.name).upper()
                sections["Arguments"].append((name, parameter.help or ""))
                continue
            common = parameter.name == "help"
            section = COMMON if common else getattr(parameter, "rich_help_panel", None) or "Options"
            text = "Show this help." if common else parameter.help + default_text(parameter)
            sections.setdefault(section, []).append((record[0], text))
        sections[COMMON] = sections.pop(COMMON)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

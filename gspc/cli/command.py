"""A subcommand as typer makes it, with two habits of ours: help in sections without noise, and `--json` whose
file may be left out."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

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
        """Reads the arguments; see `with_report_names`."""
        return super().parse_args(ctx, with_report_names(args))

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

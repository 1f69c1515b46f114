"""The man pages, written from the commands' own help: `python -m gspc.cli.man [--check] DIRECTORY`."""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from gspc import __version__
from gspc.cli import app, console
from gspc.cli.manual import EXIT_STATUS, SECTIONS


def pages() -> dict[str, str]:
    """File name -> roff of gspc(1) and one page per subcommand."""
    group: Any = typer.main.get_command(app.app)
    context = group.make_context("gspc", [], resilient_parsing=True)
    names = list(app.COMMANDS)
    result = {"gspc.1": _main_page(group, context, names)}
    for name in names:
        command = group.get_command(context, name)
        module = importlib.import_module(f"gspc.cli.{app.COMMANDS[name]}")
        result[f"gspc-{name}.1"] = _command_page(name, command, module)
    return result


def _main_page(group: Any, context: Any, names: Sequence[str]) -> str:
    lines = _head("gspc", _summary(group))
    lines += [".SH SYNOPSIS", ".B gspc", ".RI [ OPTIONS ]", ".I COMMAND", ".RI [ ARGUMENTS ]"]
    lines += [".SH DESCRIPTION", *_paragraphs(_body(group)), ".SH COMMANDS"]
    for name in names:
        lines += [
            ".TP",
            f".BR gspc\\-{_escape(name)} (1)",
            _escape(_summary(group.get_command(context, name))),
        ]
    lines += [".SH OPTIONS", *_options(group), *_sections("gspc"), *_exit_status()]
    lines += [".SH EXAMPLES", *_example(app.EXAMPLE)]
    return _finish(lines, [f"gspc-{name}" for name in names])


def _command_page(name: str, command: Any, module: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    lines = _head(f"gspc-{name}", _summary(command))
    lines += [".SH SYNOPSIS", f".B gspc {_escape(name)}", ".RI [ OPTIONS ]"]
    for argument in arguments:
        metavar = _escape(_metavar(argument))
        lines.append(f".I {metavar}" if argument.required else f".RI [ {metavar} ]")
    lines += [".SH DESCRIPTION", *_paragraphs(f"{_summary(command)}\n\n{_body(command)}")]
    if arguments:
        lines.append(".SH ARGUMENTS")
        for argument in arguments:
            lines += [".TP", f".I {_escape(_metavar(argument))}", _escape(argument.help or "")]
    lines += [".SH OPTIONS", *_options(command), *_sections(name)]
    for title, rows in getattr(module, "manual", list)():
        lines.append(f".SH {title}")
        for term, text in rows:
            lines += [".TP", f".B {_escape(term)}", _escape(text)]
    lines += [*_exit_status(), ".SH EXAMPLES", *_example(module.EXAMPLE)]
    return _finish(lines, ["gspc"])


def _head(name: str, summary: str) -> list[str]:
    return [
        '.\\" Written by python -m gspc.cli.man from the help of the commands; edit those.',
        f'.TH {_escape(name.upper())} 1 "" "gspc {__version__}" "gspc manual"',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(summary[0].lower() + summary[1:].rstrip('.'))}",
    ]


def _summary(command: Any) -> str:
    return str(command.help).split("\n\n", maxsplit=1)[0]


def _body(command: Any) -> str:
    return str(command.help).partition("\n\n")[2]


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in filter(None, text.split("\n\n")):
        lines += [".PP", _escape(" ".join(paragraph.split()))]
    return lines[1:]


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _options(command: Any) -> list[str]:
    lines: list[str] = []
    for option in command.params:
        if option.param_type_name != "option" or getattr(option, "hidden", False):
            continue
        names = ", ".join(f"\\fB{_escape(name)}\\fP" for name in sorted(option.opts, key=len))
        value = "" if option.is_flag else f" \\fI{_escape(_metavar(option))}\\fP"
        text = " ".join((option.help or "").split())
        lines += [".TP", names + value, _escape(text + _default(option))]
    return [*lines, ".TP", "\\fB\\-h\\fP, \\fB\\-\\-help\\fP", "Show the help and exit."]


def _default(option: Any) -> str:
    if option.required:
        return " Required."
    default = option.default
    if default is None or default is False or default == "" or callable(default):
        return ""
    if isinstance(default, enum.Enum):
        default = default.value
    return f" Default: {default}."


def _sections(page: str) -> list[str]:
    lines: list[str] = []
    follows_title = False
    for paragraph in inspect.cleandoc(SECTIONS.get(page, "")).split("\n\n"):
        if paragraph.isupper():
            lines.append(f".SH {paragraph}")
        elif paragraph:
            lines += [*([] if follows_title else [".PP"]), _escape(" ".join(paragraph.split()))]
        follows_title = paragraph.isupper()
    return lines


def _exit_status() -> list[str]:
    lines = [".SH EXIT STATUS"]
    for code, meaning in EXIT_STATUS:
        lines += [".TP", f".B {code}", _escape(meaning)]
    return lines


def _example(example: str) -> list[str]:
    return [".PP", ".nf", ".RS", _escape(example), ".RE", ".fi"]


def _finish(lines: list[str], others: Sequence[str]) -> str:
    references = [f".BR {_escape(name)} (1)," for name in others]
    return "\n".join([*lines, ".SH SEE ALSO", *references, ".BR pcgs (5),", ".BR pcgsx (5)"]) + "\n"


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def run(args: Sequence[str]) -> int:
    """Writes the pages into a directory, or with --check says which are not current (exit status 1)."""
    check = "--check" in args
    directory = Path(next((arg for arg in args if not arg.startswith("-")), "man"))
    stale = 0
    for name, text in pages().items():
        path = directory / name
        if path.is_file() and path.read_text() == text:
            continue
        stale += 1
        if check:
            console.error(f"{path}: is not current; run make man")
        else:
            path.write_text(text)
            console.note(f"{path} written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

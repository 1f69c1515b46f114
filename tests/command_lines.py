"""Command lines in texts: found in fences and between backticks, and held against gspc's own options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from gspc.cli.app import app

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(gspc [^`]+)`(?!`)")
# What may stand before a command of a shell.
BEFORE = {"do", "then", "time", "nice", "srun", "if", "!", "exec"}
TYPER_ERRORS: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def fences(text: str, *kinds: str) -> Iterator[str]:
    """The content of fenced blocks of these kinds."""
    for _, kind, content in FENCE.findall(text):
        if kind in kinds:
            yield content


def commands(shell: str) -> Iterator[list[str]]:
    """The arguments of every `gspc` in lines of a shell or a makefile."""
    for line in shell.replace("\\\n", " ").splitlines():
        if "gspc" in line:
            plain = re.sub(r"\$[<@*^]", "FILE", line)  # of make
            plain = re.sub(r"\$\([A-Z_]+\)|(?<=\s)\d>(&\d|\s*\S+)", "", plain)
            yield from _commands(plain.strip())


def _commands(line: str) -> Iterator[list[str]]:
    words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    skipping = False
    for word in words:
        if skipping:
            skipping = False
        elif set(word) <= set("<>&") and set(word) & set("<>"):
            skipping = True  # the file's name follows
        elif set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    for command in found:
        while command and (command[0] in BEFORE or re.fullmatch(r"\w+=\S*", command[0])):
            command.pop(0)
        if command and command[0] == "gspc":
            yield command[1:]


def problem(arguments: list[str]) -> str | None:
    """Why gspc would refuse these arguments before it does anything, or None."""
    group: Any = typer.main.get_command(app)
    top = group.make_context("gspc", [], resilient_parsing=True)
    name, *rest = arguments or ["--help"]
    if name == "help":
        name, *rest = [*rest, "--help"] if rest else ["--help"]
    if name.startswith("-"):
        return None if name in _options(group) else f"no such option {name}"
    command = group.get_command(top, name)
    if command is None:
        return f"no such command {name}"
    if {"-h", "--help"} & set(rest):
        return None
    try:
        command.make_context(name, rest, parent=top)
    except TYPER_ERRORS as error:
        return str(error.format_message())
    return None


def unknown(mention: str) -> list[str]:
    """What a mention such as `gspc fit --resume`, no whole command, names that is not there."""
    group: Any = typer.main.get_command(app)
    top = group.make_context("gspc", [], resilient_parsing=True)
    _, name, *rest = mention.split()
    if name == "help" or name.startswith("-"):
        return [] if name == "help" or name in _options(group) else [name]
    command = group.get_command(top, name)
    if command is None:
        return [name]
    given = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    return [option for option in given if option not in _options(command)]


def _options(command: Any) -> set[str]:
    found = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
    return found | {"-h", "--help"}

"""What `gspc fit` says about presets and ingredients: a few words in --help, all of it in --help-settings and
on the man page."""

from __future__ import annotations

import textwrap

import typer

from gspc.cli import console
from gspc.presets import DEFAULT_PRESET, PRESETS, preset
from gspc.recipe import ingredients, value_text
from gspc.switches import as_text, describe

WIDTH = 79


def default_rate_weights() -> str:
    """The rate weights of the default preset, as --rate-weights takes them."""
    recipe = preset(DEFAULT_PRESET)
    return ",".join(f"{weight:.3g}" for weight in recipe.rate.weights(recipe.levels.levels))


def default_levels() -> int:
    """How many levels the default preset has."""
    return preset(DEFAULT_PRESET).levels.levels


def presets() -> str:
    """A paragraph that names the presets."""
    about = "; ".join(f"{name}, {text}" for name, (_, text) in PRESETS.items())
    return f"Presets: {about}. --help-settings lists what they set, and all ingredients."


def rows() -> list[tuple[str, str]]:
    """Every ingredient with its default, and what it is."""
    return [
        (f"{entry.name}={value_text(entry.default)}", f"{_sentence(entry.help)} Takes {entry.values}.")
        for entry in ingredients().values()
    ]


def changes() -> list[tuple[str, str]]:
    """Every preset, and what it sets that the default one does not."""
    return [
        (name, " ".join(filter(None, (f"{_sentence(about)}", as_text(describe(name))))))
        for name, (_, about) in PRESETS.items()
    ]


def show(value: bool) -> None:
    """Prints it all and ends the command (--help-settings)."""
    if not value:
        return
    lines = [f"Presets, and what they set that {DEFAULT_PRESET} does not:", ""]
    for name, text in changes():
        lines += [f"  {name}", *_wrapped(text)]
    lines += ["", "Ingredients with their defaults; --set NAME=VALUE replaces one:", ""]
    for name, text in rows():
        lines += [f"  {name}", *_wrapped(text)]
    console.out("\n".join(lines))
    raise typer.Exit


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

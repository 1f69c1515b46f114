"""The `gspc` command: its subcommands, loaded when asked for, and where errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gspc import __version__
from gspc.cli import console
from gspc.errors import GspcError

# subcommand -> its module below gspc.cli; each has a function `command`. In the order of help.
COMMANDS = {
    "fit": "fit",
    "compress": "compress",
    "decompress": "decompress",
    "render": "render",
    "eval": "evaluate",
    "inspect-bitstream": "inspect_bitstream",
    "demo-scene": "demo_scene",
}

EXIT_BUG, EXIT_USAGE, EXIT_BACKEND, EXIT_INTERRUPTED, EXIT_CLOSED_PIPE = 1, 2, 5, 130, 141

# Typer raises click's errors, from its own copy of click or from the package, depending on its version.
_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class LazyCommands(TyperGroup):
    """Imports the module of a subcommand when it is called or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The subcommand of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        from gspc.cli.options import with_common_options

        module = importlib.import_module(f"gspc.cli.{COMMANDS[cmd_name]}")
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        decorate = single.command(
            cmd_name,
            help="\n\n".join([_unwrapped(module.command), *getattr(module, "more_help", list)()]),
            epilog=f"Example: {module.EXAMPLE}",
        )
        decorate(with_common_options(module.command))
        return typer.main.get_command(single)


EXAMPLE = "gspc fit photos -o model.pt && gspc compress model.pt -o scene.pcgs && gspc render scene.pcgs"

app = typer.Typer(
    cls=LazyCommands, add_completion=False, rich_markup_mode="rich", epilog=f"Example: {EXAMPLE}"
)


def _unwrapped(command: Callable[..., None]) -> str:
    """A command's docstring with one line per paragraph, for help to wrap."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _version(value: bool) -> None:
    if value:
        console.out(f"gspc {__version__}")
        raise typer.Exit


def gspc(
    stats: Annotated[
        bool, typer.Option("--stats", help="Print wall time and peak memory on stderr.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Progressive compression of 3D Gaussian Splatting scenes.

    Turns photographs with known cameras into one small file, any prefix of which that holds its first
    level can be looked at, and back.
    """
    console.settings.stats |= stats
    console.settings.debug |= debug


app.callback(help=_unwrapped(gspc), no_args_is_help=True)(gspc)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; prints one line on stderr for whatever went wrong."""
    console.settings = console.Settings(debug="--debug" in (sys.argv if args is None else args))
    code = 0
    try:
        console.buffer_stdout()
        code = _guarded(sys.argv[1:] if args is None else list(args))
        sys.stdout.flush()
        if console.settings.stats:
            console.stats()
    except BrokenPipeError:
        console.discard_stdout()
        return EXIT_CLOSED_PIPE
    except OSError as problem:  # the last of the output did not fit
        console.discard_stdout()
        return code or _output_failed(problem)
    return code


def _guarded(args: list[str]) -> int:
    try:
        return _invoke(args)
    except BrokenPipeError:
        raise
    except SystemExit as left:
        # Rich leaves like this when stdout's reader is gone.
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    except KeyboardInterrupt:
        console.note("interrupted")
        return EXIT_INTERRUPTED
    except GspcError as problem:
        if console.settings.debug:
            console.trace()
        console.error(str(problem))
        return problem.exit_code
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return _bug(problem)
        return _output_failed(problem)
    except MemoryError:
        if console.settings.debug:
            console.trace()
        console.error("out of memory; try a smaller --resolution or a machine with more")
        return EXIT_BACKEND
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.startswith("gspc"):
            return _bug(problem)
        if console.settings.debug:
            console.trace()
        console.error(f"the Python package {problem.name} is missing; install gspc with all it depends on")
        return EXIT_BACKEND
    except Exception as problem:
        return _bug(problem)


def _output_failed(problem: OSError) -> int:
    from gspc.output import output_error

    failure = output_error(problem.filename or "stdout", problem)
    console.error(str(failure))
    return failure.exit_code


def _bug(problem: Exception) -> int:
    if console.settings.debug:
        console.trace()
    what = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    console.error(f"this is a bug in gspc: {what}; run again with --debug and report it")
    return EXIT_BUG


def _invoke(args: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("gspc", args) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CLICK_ERROR as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":
            return EXIT_USAGE
        failed = getattr(problem, "ctx", None)
        path = failed.command_path if failed is not None else "gspc"
        console.error(f"{problem.format_message().rstrip('.')}; see {path} --help")
        return EXIT_USAGE
    return 0

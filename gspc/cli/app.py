"""The `gspc` command: its subcommands, loaded when asked for, and where errors become exit codes."""

from __future__ import annotations

import difflib
import errno
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gspc import __version__, extras
from gspc.cli import console, options
from gspc.errors import GspcError, InputError, Stopped, UsageError

# subcommand -> its module below gspc.cli; each has a function `command`. In the order of help.
COMMANDS = {
    "fit": "fit",
    "compress": "compress",
    "decompress": "decompress",
    "render": "render",
    "view": "view",
    "export": "export",
    "eval": "evaluate",
    "inspect-bitstream": "inspect_bitstream",
    "tile": "tile",
    "join": "join",
    "demo-scene": "demo_scene",
    "workflow": "workflow",
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
        from gspc.cli.command import Command
        from gspc.cli.options import with_common_options

        module = importlib.import_module(f"gspc.cli.{COMMANDS[cmd_name]}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        decorate = single.command(
            cmd_name,
            cls=Command,
            help="\n\n".join([_unwrapped(module.command), *getattr(module, "more_help", list)()]),
            epilog=f"Example: {module.EXAMPLE}",
        )
        decorate(with_common_options(module.command))
        command: Any = typer.main.get_command(single)
        for parameter in command.params:
            if hasattr(parameter.type, "readable"):
                parameter.type.readable = (
                    False  # reading says it better, with the exit code of an unusable input
                )
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in help, each with the whole first sentence of its own."""
        rows = [(name, self.get_command(ctx, name).help.split("\n\n", 1)[0]) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The subcommand that the arguments name.

        `gspc help render` is `gspc render --help`. A name that is nearly one of ours gets a suggestion.
        """
        name, *rest = args
        if name == "help":
            name, *rest = [*rest[:1], "--help"]
        if name == "--help":
            console.out(ctx.get_help())
            raise typer.Exit
        near = [] if name in COMMANDS else difflib.get_close_matches(name, COMMANDS, n=1)
        if near:
            raise UsageError(f"no such command '{name}'; did you mean {near[0]}?")
        return super().resolve_command(ctx, [name, *rest])


EXAMPLE = "gspc fit photos -o model.pt && gspc compress model.pt -o scene.pcgs && gspc render scene.pcgs"

# Help is plain text: rich would take [cuda] in it for markup, and cost more time than all the rest of help.
app = typer.Typer(
    cls=LazyCommands,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Example: {EXAMPLE}",
)


def _unwrapped(command: Callable[..., None]) -> str:
    """A command's docstring with one line per paragraph, for help to wrap."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _version(context: typer.Context, value: bool) -> None:
    if not value:
        return
    if context.params.get("verbose"):  # known by now, wherever it stands: it is eager, this option is not
        from gspc.cli.version import show

        show()
    else:
        from gspc.pipeline.versions import what_runs

        lines = [f"{name:9}{value}" for name, value in what_runs()]
        console.out("\n".join([f"gspc {__version__}", *lines]))
    raise typer.Exit


def gspc(
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    stats: options.Stats = False,
    debug: options.Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_version,
            help="Print the version and exit; with -v libraries and licenses, too.",
        ),
    ] = False,
) -> None:
    """Turn photographs into one small file that holds a 3D scene, and draw it.

    The file is progressive: it holds the scene in levels. Level 1 has what matters most, rough and
    blurred; further levels fill it up and make it sharper. The beginning of the file, up to the end of any
    level, is a scene by itself.

    `gspc help COMMAND` explains a command, man gspc-COMMAND more.
    """
    console.settings.ask(quiet=quiet, verbose=verbose, stats=stats, debug=debug)


app.callback(help=_unwrapped(gspc))(gspc)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; prints one line on stderr for whatever went wrong."""
    given = tuple(sys.argv[1:] if args is None else args)
    console.settings = console.Settings(debug="--debug" in given, arguments=given)
    code = 0
    try:
        console.settle_streams()
        with warnings.catch_warnings():
            warnings.showwarning = console.library_warning
            code = _guarded(list(given))
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
    except Stopped as end:
        console.note("interrupted")
        return end.exit_code
    except KeyboardInterrupt:
        console.note("interrupted")
        return EXIT_INTERRUPTED
    except GspcError as problem:
        if console.settings.debug:
            console.trace()
        console.error(str(problem))
        return problem.exit_code
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF):
            return _output_failed(problem)
        if problem.filename is None:
            return _bug(problem)
        return _unreadable(problem)
    except MemoryError:
        if console.settings.debug:
            console.trace()
        console.error("out of memory; try a smaller --resolution or a machine with more")
        return EXIT_BACKEND
    except ImportError as problem:
        return _not_importable(problem)
    except Exception as problem:
        return _bug(problem)


def _not_importable(problem: ImportError) -> int:
    """A package is missing, or gspc's own compiled part is: in a checkout that nobody has built."""
    missing = problem.name == "gspc" and "'_codec'" in str(problem)
    if missing or problem.name == "gspc._codec":
        line = f"gspc._codec: cannot be loaded ({problem}); reinstall gspc with `pip install .`"
    elif isinstance(problem, ModuleNotFoundError) and problem.name and not problem.name.startswith("gspc"):
        line = f"the Python package {problem.name} is missing; {extras.advice(problem.name)}"
    else:
        return _bug(problem)
    if console.settings.debug:
        console.trace()
    console.error(line)
    return EXIT_BACKEND


def _output_failed(problem: OSError) -> int:
    from gspc.output import output_error

    failure = output_error(problem.filename or "stdout", problem)
    console.error(str(failure))
    return failure.exit_code


def _unreadable(problem: OSError) -> int:
    """The system does not let a path be looked at: its name is too long, a folder above it is closed."""
    if console.settings.debug:
        console.trace()
    failure = InputError(f"cannot be read ({problem.strerror})", source=str(problem.filename))
    console.error(str(failure))
    return failure.exit_code


def _bug(problem: Exception) -> int:
    if console.settings.debug:
        console.trace()
    what = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    console.error(f"this is a bug in gspc: {what}; run again with --debug and report it")
    return EXIT_BUG


def _invoke(args: list[str]) -> int:
    command: Any = typer.main.get_command(app)
    command._main_shell_completion({}, "gspc")  # answers a shell that completes a line, and exits
    help_alone = EXIT_USAGE if not args else 0  # help was not asked for
    try:
        with command.make_context("gspc", args or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code or help_alone
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CLICK_ERROR as problem:
        failed = getattr(problem, "ctx", None)
        path = failed.command_path if failed is not None else "gspc"
        file = next((word for word in args if word.startswith("-") and os.path.lexists(word)), None)
        hint = "" if file is None else f", or name the file as ./{file}"
        console.error(f"{problem.format_message().rstrip('.')}; see {path} --help{hint}")
        return EXIT_USAGE
    return 0

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

EXIT_STATUS = (
    ("0", "Success. A truncated stream of which a level is whole is a success with a warning."),
    ("1", "A bug in gspc."),
    ("2", "Arguments that make no sense."),
    ("3", "A scene, checkpoint or image that cannot be used."),
    ("4", "A stream that is damaged, too new, beyond the limits, or cut before the level asked for."),
    ("5", "No such device or kernel on this machine."),
    ("6", "An output that exists, cannot be written, or does not fit on the disk."),
    ("130", "Interrupted with Ctrl-C."),
    ("141", "The reader of the output went away."),
)

# What help has no room for: page -> sections, a paragraph in capitals being a title.
SECTIONS = {
    "gspc": """
        FILES

        A trained model (model.pt) is what gspc fit writes. A stream (.pcgs, see pcgs(5)) holds a scene in
        progressive levels, counted from 1, with everything needed to decode it. A decoded scene is a
        safetensors file with one level of it. Commands recognize the three by content, from a path or,
        with - or no name, from stdin.

        Data goes to stdout, everything else to stderr. Binary data is not written to a terminal. A file
        appears whole or not at all. A file that exists already is overwritten only with -f, which keeps its
        permissions; an input is never overwritten. What a killed run left beside its output is removed by the
        next one. /dev/stdout, /dev/fd/N and the shell's >(COMMAND) can be outputs. In a Makefile give -f:
        targets that are out of date exist.

        REPORTS

        With --json a command reports numbers: on stdout, or on stderr where stdout carries its result.
        --json FILE.json writes them into a file and leaves the rest as it is; other names are given as
        --json=FILE. -q leaves warnings and errors of the messages on stderr, -v adds what is done.

        WORDS

        A scene is made of 3D Gaussians, small soft ellipsoids with a color. They are not stored one by one:
        a scene stores anchors, points with some numbers each, and small neural networks, the heads, that
        make an anchor's Gaussians for a given view. The numbers of an anchor are its features, its scaling
        and the offsets of its Gaussians. A level adds anchors and Gaussians, and refines the numbers of those
        that were there: by a trit, a digit -1, 0 or 1, each number gets three times as exact.

        ENVIRONMENT

        GSPC_LPIPS_WEIGHTS names a directory with vgg16-397923af.pth and vgg.pth, the weights that gspc
        eval needs for LPIPS, when torch's cache and the lpips package do not have them.

        GSPC_CUDA_KERNELS=0 makes training on a GPU take torch's operations for the loss and the context
        grid instead of gspc's own kernels, which nvcc builds at first use and GSPC_CACHE (by default gspc
        in the user's cache directory) keeps. GSPC_ISA=base, v3 or v4 lowers the instruction set that the
        CPU's kernels use, AVX2 being v3 and AVX-512 v4.
        """,
    "fit": """
        SCENES

        A COLMAP directory has images/ and sparse/0/ with a binary or text model whose cameras are PINHOLE
        or SIMPLE_PINHOLE. Every Nth view by name, starting with the first, is held out for gspc eval;
        Blender scenes keep their own split.

        RECIPES

        A preset is a recipe: a value for each ingredient below, of which --set NAME=VALUE replaces one. A
        TOML file for --config has the keys preset and, named as the options with _ for -, iterations, levels,
        rate_weights (a list), target_size (bytes), preview, resolution, images, hold, background,
        image_cache, masks, field, exif, cache, strict, voxel_size, seed, device, threads, checkpoint_every
        and heads_precision, and a table [set] of ingredients. The file overrides the preset, the command line
        overrides both. The model and its streams name their preset and what was replaced.

        SCENES

        Cameras are read from a COLMAP model (binary or text, in sparse/0, sparse, dense/0/sparse,
        colmap/sparse/0, distorted/sparse/0 or SCENE itself; of several, the one with most images) or from
        transforms.json, transforms_train.json and transforms_test.json as nerfstudio, instant-ngp and
        Blender write them. Photographs are looked for in images/, input/ and the like, with other letter
        case, another suffix, or by the end of a path of another machine, never outside SCENE and DIR of
        --images. All camera models of COLMAP are read; those that bend lines are straightened with pycolmap
        (the extra gspc[colmap]), a panorama is cut into six views. Without points, training starts from
        random ones.

        What is mended or left out is said in one line each. Missing and damaged photographs are left out
        unless more than a tenth of them, or all but two, are; --strict refuses any. --dry-run shows what
        was understood.

        Masks are pictures of the photographs' shape in masks/, named NAME.png or as the photograph with
        .png after it, or what mask_path names in a transforms file: black pixels have no part in training
        and scores.

        Recordings of apps become scenes through their makers' or nerfstudio's tools: ns-process-data
        polycam, record3d, metashape or realitycapture write a transforms.json; Metashape and RealityCapture
        export to COLMAP, too. Of photographs alone, --reconstruct finds the cameras and keeps them in
        SCENE/sparse/0.

        SIZES

        --target-size makes the rate weights larger or smaller in the second half of a fit, as its stream
        would be too large or too small. At the end the stream's size is measured and the distance from the
        target said.

        CHECKPOINTS

        FILE.checkpoint beside the output is written every --checkpoint-every steps and on Ctrl-C, and
        removed when training is done. --resume goes on from it and asks for the same options. The same
        seed, device and number of threads give the same log.
        """,
    "compress": """
        SIZES

        The bytes up to a level are where the file can be cut: its first so many bytes, from head -c for
        example, are a stream of that level. --max-size keeps the levels that fit, and of the next one the
        slices that fit, those with the most bytes first: there the scene is of that level, elsewhere of the
        one before. It never takes more bytes than it says; where not even level 1 does, nothing is written
        and the exit status is 2.
        """,
    "decompress": """
        TRUNCATED STREAMS

        A stream that is cut short is decoded to its last whole level, with a warning and exit status 0. The
        exit status is 4 when --upto asks for a level that is not there, or when not even level 1 is.

        DAMAGED STREAMS

        A stream with a damaged chunk is refused. --salvage decodes what is left of it: every slice as far as
        its levels are whole. A single wrong byte in a chunk is put right by its checksum. What is lost is
        said by level and slice, with the share of anchors that is left. Header, grid, heads and the networks
        of level 1 are needed by all slices; where one of them is beyond repair nothing can be restored.

        PARTS

        --region keeps the anchors inside a box, in the coordinates of the cameras; their Gaussians may reach
        out of it. Of a file only the slices that can hold such anchors are read. INPUT may be a web address;
        a server that answers range requests sends only what is needed.

        DECODED SCENES

        Every scene that is written here can be drawn: a stream whose cameras, steps, origin or heads are not
        usable (pcgs(5), LIMITS) is refused.
        """,
    "eval": """
        SCORES

        Views that training held out are known by their names; --all scores the others, too. Masked pixels
        do not count. PSNR in dB, SSIM with an 11x11 Gaussian window and LPIPS with VGG16 on [0, 1] input
        are means over views. Photographs are read as in training unless options say otherwise. --json also
        says what the bytes up to a level are spent on: components of the file, and symbols by attribute.

        COMPARING CURVES

        An arm is FILE, FILE+FILE+..., or NAME= and either; its files are what --json wrote for streams of
        one scene, evaluated alike. All levels of all its files are points of its curve; --levels last takes
        the last one of each, --levels 1,3 the ones named. A point that is no smaller and no better than
        another one of its arm is left out, with a warning.

        BD-rate is the mean difference in bytes at equal PSNR, negative when the arm is smaller than the
        first; BD-PSNR the mean difference in dB at equal bytes. Both interpolate with PCHIP over the
        logarithm of the bytes and need 4 points of both arms and ranges that share 75 % of their union;
        otherwise the reason stands in place of the figure. Fixed bytes are all but those of positions,
        masks, symbols and chunk headers: they do not grow with the number of anchors.
        """,
    "export": """
        BAKING

        A scene's Gaussians look different from every place; other tools know only colors that change with
        direction. Each Gaussian gets the one opacity and shape that fit best what up to 16 of the suggested
        cameras see of it, weighted by what it contributes to their pictures, and harmonics that make these
        pictures agree. --refine goes on by gradient descent on everything but positions. The figure in dB
        compares what was written, read back, with the scene's own pictures from up to 12 suggested cameras.

        FORMATS

        ply is what 3D Gaussian Splatting itself writes: floats, nothing lost. compressed.ply (PlayCanvas,
        SuperSplat), spz (Niantic) and sog (PlayCanvas) are small and lose a little; spz keeps harmonics in
        5 or 6 bits within -1 to 1. glb is glTF with KHR_gaussian_splatting. splat has 32 bytes per Gaussian
        and no harmonics. ksplat can be read, too. Opacities in bytes end at 254, since other tools read 255
        as infinite.

        AXES

        A frame is three letters that say where x, y and z point: L or R, U or D, F or B. ply, compressed.ply,
        sog and splat usually have RDF, as cameras have; glb has LUF. The page of spz says RUB, which is
        written here, but PlayCanvas and several converters write RDF into it: where a scene stands on its
        head, --frame RDF helps, and --source-frame RDF for reading. Harmonics turn along.

        SPZ of version 4 needs zstd, which Python has from 3.14 on and the extra gspc[spz] brings to others.
        """,
    "inspect-bitstream": """
        LEVELS

        --levels shows for each level how many anchors and Gaussians it draws, as shares of all anchors of
        the last level and of all Gaussians that those could have, and the bytes that it adds: values of what
        is new (G), and trits that refine what was there (T). All values of a level are coded into one string
        of bytes; it is divided in proportion to what the model says that they cost. What belongs to no level
        is counted with level 1. Features are counted with the table of the feature pool that predicts them,
        if there is one that serves nothing else.

        MAP

        --map divides the scene into small cubes and draws a ball for each: its volume shows how many anchors
        are in the cube, its color the bits that the level adds there. A second row shows cubes with new
        anchors in red.
        """,
    "render": """
        PATHS

        --path orbit goes once around the point that the cameras look at, at their median height and distance.
        --path spiral goes around twice and rises from the lower to the higher ones and back. Where all
        cameras stand on one side, both stay within the angles that they cover. --cameras gives other cameras
        than the suggested ones to start from.

        --path FILE takes what --cameras takes, a picture for each camera in the order of their names, or with
        --frames a curve through them; or a JSON list of key poses, each an object with position, look_at and,
        if wanted, up and field_of_view (degrees along the width), or with world_to_camera, size and
        intrinsics as decoded scenes have them. {"keys": [...], "loop": true} ends where it begins.

        Films lose a last row or column where their number is odd.

        COARSE

        Some scenes predict the features of an anchor from its position, with a table called the feature
        pool, and store only the difference, the residual features. --coarse sets those to zero and shows the
        prediction.
        """,
}


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
    return "\n".join([*lines, ".SH SEE ALSO", *references, ".BR pcgs (5)"]) + "\n"


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

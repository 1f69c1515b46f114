"""Every format of plain Gaussians: recognized by content, read and written through one table."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from gspc.errors import InputError, UsageError
from gspc.splats import compressed_ply, glb, ksplat, ply, sog, splat32, spz
from gspc.splats.splats import HOME, Splats, checked
from gspc.splats.transform import axes, to_frame


@dataclass(frozen=True)
class Format:
    """A format: its name (also the suffix), axes by habit, and its functions."""

    name: str
    frame: str
    recognize: Callable[[bytes], bool]
    read: Callable[[bytes], Splats]
    write: Callable[[Splats], bytes] | None


# In the order in which content is looked at: .splat has no magic number and comes last.
FORMATS = {
    entry.name: entry
    for entry in (
        Format(
            "compressed.ply",
            HOME,
            compressed_ply.is_compressed_ply,
            compressed_ply.read,
            compressed_ply.write,
        ),
        Format("ply", HOME, ply.is_splat_ply, ply.read, ply.write),
        Format("spz", spz.FRAME, spz.is_spz, spz.read, spz.write),
        Format("sog", HOME, sog.is_sog, sog.read, sog.write),
        Format("glb", glb.FRAME, lambda data: data.startswith(glb.MAGIC), glb.read, glb.write),
        Format("ksplat", HOME, ksplat.is_ksplat, ksplat.read, None),
        Format("splat", HOME, splat32.is_splat32, splat32.read, splat32.write),
    )
}
# What readers meet in files whose JSON or columns have other types than they should: too many places to name.
_MISFITS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, struct.error)
UNBUNDLED = "sog"  # what meta.json asks for, with its pictures beside it
WRITABLE = tuple(sorted(name for name, entry in FORMATS.items() if entry.write))


def recognize(data: bytes) -> str | None:
    """The name of the format these bytes are, or None."""
    return next((name for name, entry in FORMATS.items() if entry.recognize(data)), None)


def format_of(path: str) -> str | None:
    """The writable format a file name asks for by its suffix, or None."""
    if path.rpartition("/")[2].lower() == sog.META:
        return UNBUNDLED
    fitting = [name for name in WRITABLE if path.lower().endswith(f".{name}")]
    return max(fitting, key=len) if fitting else None


def read_splats(data: bytes, *, frame: str | None = None) -> Splats:
    """The Gaussians of a file of any format, checked, in the axes it has.

    `frame` says what these axes are where the format's habit is not what the file holds. Raises InputError,
    UsageError for a frame that is none, BackendError without zstd for SPZ 4.
    """
    kind = recognize(data)
    if kind is None:
        raise InputError(f"is no splat ({', '.join(FORMATS)}); check the file")
    try:
        found = checked(FORMATS[kind].read(data))
    except _MISFITS as error:
        what = f"{type(error).__name__}: {str(error)[:80]}"
        raise InputError(f"is a .{kind} that does not fit its format ({what}); get the file again") from error
    if frame is not None:
        axes(frame)
        found = replace(found, frame=frame.upper())
    return replace(found, metadata={**found.metadata, "format": kind})


def write_splats(splats: Splats, kind: str, *, frame: str | None = None, spz_version: int = 3) -> bytes:
    """A file of format `kind`, in the format's usual axes or those of `frame`.

    Raises UsageError for a format that is not written, InputError for what it cannot hold.
    """
    entry = FORMATS.get(kind)
    if entry is None or entry.write is None:
        raise UsageError(f"'{kind}' is not written; choose one of {', '.join(WRITABLE)}")
    turned = to_frame(splats, frame or entry.frame)
    if kind == "spz":
        return spz.write(turned, spz_version)
    return entry.write(turned)

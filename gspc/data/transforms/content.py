"""The JSON object of a transforms file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gspc.data import kinds
from gspc.errors import InputError

MAX_BYTES = 256 * 2**20  # of one JSON file: hundreds of thousands of frames
MAX_FRAMES = 1_000_000


def read_content(path: Path) -> dict[str, Any]:
    """The object in `path`, its `frames` being a list of objects; raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES} bytes; this is no transforms file", source=str(path))
        data = path.read_bytes()
        kinds.refuse(path, data[: kinds.HEAD], len(data))
        content = json.loads(data)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON ({error}); write it again", source=str(path)) from None
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError("no list of frames; this is no transforms file", source=str(path))
    if len(frames) > MAX_FRAMES:
        raise InputError(f"{len(frames)} frames, at most {MAX_FRAMES} can be read", source=str(path))
    return content

"""Constants and limits of format version 1 (pcgs(5), LIMITS). The core has the same (format/limits.hpp); a
test compares both with the page."""

from __future__ import annotations

MAGIC = b"\x89PCGS\r\n\x1a"
VERSION_MAJOR = 1
VERSION_MINOR = 0
PREAMBLE_BYTES = 12
CHUNK_HEADER_BYTES = 24
INDEX_WINDOW = 16384
NO_SLICE = 0xFFFFFFFF

MAX_LEVELS = 8
MAX_FEATURES = 256
MAX_OFFSETS = 32
MAX_HIDDEN = 512
MAX_POOL = 256
MAX_GROUPS = 8
MAX_POSITION_BITS = 21
MAX_PLANES = 64
MAX_SLICES = 2048
MAX_CAMERAS = 64
MAX_METADATA_BYTES = 1 << 20
MAX_CHUNK_BYTES = 1 << 30
MAX_ANCHORS_PER_BYTE = 8

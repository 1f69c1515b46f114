"""The `.pcgs` container for inspection: standard library only, quick to import."""

from gspc.format.container import (
    COMPONENTS,
    ChunkInfo,
    HeaderInfo,
    LevelInfo,
    PlaneInfo,
    SliceInfo,
    StreamInfo,
    check,
    describe,
)

__all__ = [
    "COMPONENTS",
    "ChunkInfo",
    "HeaderInfo",
    "LevelInfo",
    "PlaneInfo",
    "SliceInfo",
    "StreamInfo",
    "check",
    "describe",
]

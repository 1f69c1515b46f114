"""What a stream is: its shape, its limits, its container (standard library only, quick to import); the scenes
that go into it and come out (numpy). No torch."""

from gspc.format.chunks import ChunkInfo
from gspc.format.container import (
    COMPONENTS,
    HeaderInfo,
    LevelInfo,
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
    "SliceInfo",
    "StreamInfo",
    "check",
    "describe",
]

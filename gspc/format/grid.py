"""The shape of a binary multi-resolution context grid (method section 3); no torch.

The arithmetic is pinned: the core (context/context_grid.hpp) computes the same integers, also for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

FEATURES_PER_ENTRY = 4
MAX_RESOLUTION = 2047  # the limits are those of kernels/codec/context/context_grid.hpp
MAX_LOG2_SIZE = 22
MAX_PLANES = 64
MAX_ENTRIES = 1 << 24
MAX_BOX = 1 << 22


class GridPlane(NamedTuple):
    """One table. `dims`: 0 = 3D (xyz), 1 = xy, 2 = xz, 3 = yz; at most 2^log2_size entries."""

    dims: int
    resolution: int
    log2_size: int

    @property
    def corners(self) -> int:
        """Grid corners: (R + 1)^3, or (R + 1)^2 for a 2D plane."""
        return (self.resolution + 1) ** (3 if self.dims == 0 else 2)

    @property
    def dense(self) -> bool:
        """Every corner has its own entry (else corners are hashed)."""
        return self.corners <= 1 << self.log2_size

    @property
    def entries(self) -> int:
        """Entries of the table."""
        return min(self.corners, 1 << self.log2_size)


@dataclass(frozen=True)
class GridSpec:
    """Box and tables of a grid; positions are voxel coordinates in [0, 2^21).

    Raises ValueError beyond the limits above.
    """

    box_low: tuple[int, int, int]
    box_size: tuple[int, int, int]  # >= 1
    planes: tuple[GridPlane, ...]
    features_per_entry: int = FEATURES_PER_ENTRY

    def __post_init__(self) -> None:
        for name in ("box_low", "box_size"):
            values = tuple(int(value) for value in getattr(self, name))
            if len(values) != 3:
                raise ValueError(f"{name} needs 3 values, got {len(values)}")
            object.__setattr__(self, name, values)
        planes = tuple(GridPlane(*(int(value) for value in plane)) for plane in self.planes)
        object.__setattr__(self, "planes", planes)
        if self.features_per_entry != FEATURES_PER_ENTRY:
            raise ValueError(f"features_per_entry must be {FEATURES_PER_ENTRY}")
        if any(abs(low) > MAX_BOX for low in self.box_low):
            raise ValueError(f"box_low {self.box_low} is beyond {MAX_BOX}")
        if any(not 1 <= size <= MAX_BOX for size in self.box_size):
            raise ValueError(f"box_size {self.box_size} is outside 1..{MAX_BOX}")
        if len(planes) > MAX_PLANES:
            raise ValueError(f"{len(planes)} planes, at most {MAX_PLANES}")
        for plane in planes:
            if not (
                0 <= plane.dims <= 3
                and 1 <= plane.resolution <= MAX_RESOLUTION
                and 1 <= plane.log2_size <= MAX_LOG2_SIZE
            ):
                raise ValueError(f"{plane} is beyond the limits")
        if self.total_entries > MAX_ENTRIES:
            raise ValueError(f"{self.total_entries} grid entries, at most {MAX_ENTRIES}")

    @property
    def entries(self) -> tuple[int, ...]:
        """Entries per plane."""
        return tuple(plane.entries for plane in self.planes)

    @property
    def starts(self) -> tuple[int, ...]:
        """First entry of each plane in the concatenated tables."""
        starts, total = [], 0
        for plane in self.planes:
            starts.append(total)
            total += plane.entries
        return tuple(starts)

    @property
    def total_entries(self) -> int:
        """Entries of all planes."""
        return sum(plane.entries for plane in self.planes)

    @property
    def context_size(self) -> int:
        """Context values per position (C)."""
        return len(self.planes) * self.features_per_entry

"""What every source of cameras comes to: a photograph's name, its lens and where it was taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gspc.data.lens import Lens
from gspc.scene import F64


@dataclass(frozen=True)
class Shot:
    """One photograph as the model has it, before anyone looked for its file.

    `lens` gives the lens for a photograph of a width and height, which only matters where the model leaves
    the size to the photograph (`size` is then None).
    """

    name: str  # what the view is called
    file: str  # the photograph, as the model names it
    pose: F64  # world-to-camera [4, 4]
    size: tuple[int, int] | None  # width and height that the model gives
    lens: Callable[[int, int], Lens] = field(compare=False)
    mask: str | None = None  # as the model names it
    part: str = ""  # "train" or "test" where the model says so


@dataclass(frozen=True)
class Fixed:
    """Shot.lens of a model that gives the size itself."""

    lens: Lens

    def __call__(self, width: int, height: int) -> Lens:
        """The lens, whatever the photograph's size."""
        return self.lens


def by_name(shots: Sequence[Shot]) -> list[Shot]:
    """Sorted by the views' names, as splits and reports want them."""
    return sorted(shots, key=lambda shot: shot.name)

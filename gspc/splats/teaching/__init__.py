"""A trained splat as a teacher: where there are no photographs, pictures of it stand in for them."""

from gspc.splats.teaching.between import between
from gspc.splats.teaching.coverage import SEVERAL, Coverage
from gspc.splats.teaching.lesson import Lesson, lesson
from gspc.splats.teaching.start import starting_gaussians
from gspc.splats.teaching.teacher import Teacher
from gspc.splats.teaching.unit import UnitSplats, unit_splats

__all__ = [
    "SEVERAL",
    "Coverage",
    "Lesson",
    "Teacher",
    "UnitSplats",
    "between",
    "lesson",
    "starting_gaussians",
    "unit_splats",
]

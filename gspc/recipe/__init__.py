"""Recipes: what is learned, how it is quantized and coded, and by which schedule.

Every ingredient of the two papers is one field of one group and can be switched alone, by its name (`gspc fit
--set NAME=VALUE`, or a TOML file; `gspc.switches` reads them). `gspc.presets` are recipes with names. No
torch here: `gspc fit --help` prints these files' contents.
"""

from gspc.recipe.contexts import Contexts
from gspc.recipe.levels import Levels
from gspc.recipe.rate import Accumulate, MaskCosts, Rate, RateAnchors
from gspc.recipe.recipe import Ingredient, Recipe, ingredients, value_text
from gspc.recipe.representation import GridSize, PoolGrid, Representation
from gspc.recipe.schedule import (
    Downsampling,
    GrowthChoice,
    Noise,
    PictureError,
    ScheduleSettings,
)

__all__ = [
    "Accumulate",
    "Contexts",
    "Downsampling",
    "GridSize",
    "GrowthChoice",
    "Ingredient",
    "Levels",
    "MaskCosts",
    "Noise",
    "PictureError",
    "PoolGrid",
    "Rate",
    "RateAnchors",
    "Recipe",
    "Representation",
    "ScheduleSettings",
    "ingredients",
    "value_text",
]

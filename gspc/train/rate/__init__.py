"""The rate in the training loss (PCGS Eq. 7 and 8). `RateLoss` is the way in: built once from a recipe, it
says of each iteration what the rate adds to the loss, and what a stream of the model would weigh."""

from gspc.train.rate.loss import RateLoss, Standing
from gspc.train.rate.sample import AnchorRows, RateSample

__all__ = ["AnchorRows", "RateLoss", "RateSample", "Standing"]

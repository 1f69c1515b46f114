"""What parts of a trained scene are worth, in decibels of its training views: anchors their bits, values
their finer digits, Gaussians that appear later theirs. See `gspc.codec.portions` for what becomes of it.
"""

from gspc.train.utility.measure import measured

__all__ = ["measured"]

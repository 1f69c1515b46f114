"""How Gaussians become pixels: the numbers that every backend shares (gsplat 1.5.3's). The kernels have the
same (kernels/raster/raster.hpp); a test compares them."""

from __future__ import annotations

NEAR, FAR = 0.01, 1e10  # world units along the camera's z axis; nothing is drawn nearer or farther
BLUR = 0.3  # pixels^2, added to both variances of a projected Gaussian
MIN_ALPHA, MAX_ALPHA = 1.0 / 255.0, 0.999  # below the first a Gaussian adds nothing; more opaque it never is
MIN_TRANSMITTANCE = 1e-4  # a pixel is finished before less light than this would pass
MAX_SIDE = 16384  # pixels; no wider or higher picture is drawn
TILE = 16  # pixels; pictures are drawn in squares of this side

"""In what units the integer networks speak: steps, scales and means, as the stream's pinned tables have them
(pcgs(5), NETWORKS)."""

from __future__ import annotations

STEP_RESOLUTION = 32  # step indices per unit of r, from which a step is Q0 (1 + tanh r)
STEP_CENTER = 64  # index of r = 0
STEP_COUNT = 128
STEP_UNITS = 1 << 14  # of the table of steps, per Q0
SCALES_PER_OCTAVE = 12
SCALE_COUNT = 128
LOG2_SMALLEST_SCALE = -3.0  # in steps
MEAN_RESOLUTION = 64  # integer means per Q0
SWELL_UNITS = 64  # of a log scale, of chunk swel

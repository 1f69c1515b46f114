// From a decoded scene to plain Gaussians that other tools read, as one camera sees them.
#pragma once

#include <string>
#include <vector>

#include "cli/files.hpp"
#include "codec/api/pcgs.h"

namespace gspc::cli {

// M Gaussians in the user's coordinates (x right, y down, z forward), with one color each.
struct PlainGaussians {
  size_t count = 0;
  double moved[3] = {};          // what was taken off the positions, far from the origin, to keep them exact
  std::vector<float> means;      // [M, 3]
  std::vector<float> quats;      // [M, 4] wxyz, unit length
  std::vector<float> scales;     // [M, 3] standard deviations
  std::vector<float> opacities;  // [M]
  std::vector<float> colors;     // [M, 3] in (0, 1)
};

// The suggested camera of that name (with or without its suffix) or number, from 0. Throws Failure.
size_t find_camera(const pcgs_scene* scene, const std::string& view);

// The Gaussians that the scene shows to a camera.
PlainGaussians gaussians_for(const pcgs_scene* scene, const pcgs_camera& camera);

// A 3DGS .ply, binary and little-endian, with harmonics of degree 0.
Bytes write_ply(const PlainGaussians& gaussians);

// An SPZ file of version 3 (axes RUB: y and z change their signs). Throws Failure for a scene too wide.
Bytes write_spz(const PlainGaussians& gaussians);

}  // namespace gspc::cli

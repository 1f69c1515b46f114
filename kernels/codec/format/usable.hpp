// What a scene may hold so that everything behind the decoder stays finite in float32, whoever wrote it.
// Reader and writer of each chunk ask the same questions; gspc/format/usable.py asks them of scenes in
// Python, in the same words.
#pragma once

#include "codec/format/parameters.hpp"

namespace gspc {

// Each returns nullptr, or what is wrong, to follow the name of what was asked about.
const char* camera_error(const StoredCamera& camera);
const char* heads_error(const StoredHeads& heads);
// Steps, origin, voxel size and background of a header.
const char* placement_error(const double step_base[3], const double origin[3], double voxel_size,
                            const float background[3]);

}  // namespace gspc

// What is behind pcgs.h.
#pragma once

#include "codec/api/pcgs.h"
#include "codec/stream/stream.hpp"

struct pcgs_scene {
  gspc::DecodedStream stream;
  gspc::FloatHeads heads;
};

namespace gspc {

// A scene for pcgs_free.
pcgs_scene* scene_of(DecodedStream stream);

// options may be nullptr. Throws StreamError.
DecodeOptions decode_options(const pcgs_options* options);

}  // namespace gspc

// What a pcgs_view holds.
#ifndef GSPC_WASM_VIEW_PARTS_HPP
#define GSPC_WASM_VIEW_PARTS_HPP

#include <vector>

#include "wasm/heads.hpp"

struct pcgs_view : gspc::GSPC_ISA_NAMESPACE::Heads {
  std::vector<uint16_t> shapes, colors;  // [M, 8], [M, 4] halves, as an eye saw them last
  std::vector<float> plain, harmonics;   // [M, 8], [M, C, 3], as baked last
};

#endif

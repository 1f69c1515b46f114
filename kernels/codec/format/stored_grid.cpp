// The GRID chunk: signs of the context grid.
#include "codec/format/parameters.hpp"
#include "codec/format/stored_numbers.hpp"

namespace gspc {

namespace {

// Signs do not drift along a table: plain counts cost less than an adaptive window.
struct SignModel {
  uint32_t ones = 1, total = 2;

  template <class Coder>
  int code(Coder& coder, int bit) {
    bit = coder.code((ones << 16) / total, bit);
    ones += static_cast<uint32_t>(bit);
    if (++total == 1u << 15) {
      ones = ones > 1 ? ones >> 1 : 1;
      total >>= 1;
    }
    return bit;
  }
};

// Signs of one feature of one plane share four models, by the signs of the two entries before.
template <class Coder>
void code_signs(Coder& coder, const GridSpec& spec, std::vector<uint8_t>& table) {
  size_t start = 0;
  for (const GridPlane& plane : spec.planes) {
    const size_t entries = grid_entries(plane);
    SignModel models[kGridFeatures][4];
    uint32_t one = 0, two = 0;  // the entry before and the one before that
    for (size_t i = start; i < start + entries; ++i) {
      uint32_t signs = 0;
      for (int f = 0; f < kGridFeatures; ++f) {
        const uint32_t context = (one >> f & 1) << 1 | (two >> f & 1);
        signs |= static_cast<uint32_t>(models[f][context].code(coder, table[i] >> f & 1)) << f;
      }
      table[i] = static_cast<uint8_t>(signs);
      two = one;
      one = signs;
    }
    start += entries;
  }
}

}  // namespace

std::vector<uint8_t> write_grid(const GridSpec& spec, const std::vector<uint8_t>& table) {
  BinaryEncoder coder;
  std::vector<uint8_t> copy = table;
  code_signs(coder, spec, copy);
  return coder.finish();
}

std::vector<uint8_t> read_grid(const GridSpec& spec, const uint8_t* data, size_t size) {
  BinaryDecoder coder(data, size);
  std::vector<uint8_t> table = grid_sign_table(spec);
  code_signs(coder, spec, table);
  check_end(coder);
  return table;
}

}  // namespace gspc

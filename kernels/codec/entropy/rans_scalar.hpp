// Lane kernels in plain C++. Included by rans_isa.cpp only.
#pragma once

#include "codec/entropy/rans_step.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {

size_t gaussian_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint8_t* table,
                       int32_t* symbol, size_t groups, uint32_t& escaped) {
  const uint8_t* next = lanes.next;
  size_t done = 0;
  uint32_t seen = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done) {
    for (int lane = 0; lane < kRansLanes; ++lane) {
      uint32_t x = gaussian_step(t, lanes.state[lane], table[lane], symbol + lane);
      seen |= symbol[lane] == kEscaped;
      const uint32_t renewed = x << 16 | load_word(next);
      const bool need = x < kStateLow;
      lanes.state[lane] = need ? renewed : x;
      next += need ? 2 : 0;
    }
    table += kRansLanes;
    symbol += kRansLanes;
  }
  lanes.next = next;
  escaped |= seen;
  return done;
}

size_t trit_groups(const CodecTables& t, RansLanes& lanes, const uint8_t* end, const uint16_t* table,
                   int8_t* trit, size_t groups) {
  const uint8_t* next = lanes.next;
  size_t done = 0;
  for (; done < groups && end - next >= 2 * kRansLanes; ++done) {
    for (int lane = 0; lane < kRansLanes; ++lane) {
      uint32_t x = trit_step(t, lanes.state[lane], table[lane], trit + lane);
      const uint32_t renewed = x << 16 | load_word(next);
      const bool need = x < kStateLow;
      lanes.state[lane] = need ? renewed : x;
      next += need ? 2 : 0;
    }
    table += kRansLanes;
    trit += kRansLanes;
  }
  lanes.next = next;
  return done;
}

uint8_t* encode_groups(uint32_t* state, const uint32_t* entry, size_t groups, uint8_t* out) {
  entry += groups * kRansLanes;
  for (size_t group = 0; group < groups; ++group) {
    entry -= kRansLanes;
    for (int lane = kRansLanes - 1; lane >= 0; --lane) {
      uint32_t x = state[lane];
      store_word(out - 2, x);
      const bool emit = must_emit(x, entry[lane]);
      out -= emit ? 2 : 0;
      x = emit ? x >> 16 : x;
      state[lane] = encode_step(x, entry[lane]);
    }
  }
  return out;
}

bool gaussian_entries(const CodecTables& t, const uint8_t* table, const int32_t* symbol, size_t n,
                      uint32_t* entry) {
  return gaussian_entries_scalar(t, table, symbol, n, entry);
}

void trit_entries(const CodecTables& t, const uint16_t* table, const int8_t* trit, size_t n,
                  uint32_t* entry) {
  for (size_t i = 0; i < n; ++i) entry[i] = trit_entry(t, table[i], trit[i]);
}

}  // namespace gspc::GSPC_ISA_NAMESPACE

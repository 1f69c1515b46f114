// The NETS chunks: weights, biases and gains of the integer networks.
#include <string>

#include "codec/format/parameters.hpp"
#include "codec/format/stored_numbers.hpp"

namespace gspc {

namespace {

template <class Coder>
void code_rows(Coder& coder, IntegerLayer& layer) {
  code_weights(coder, layer.weight);
  ExpGolombModel model;
  for (int32_t& b : layer.bias) b = coder.signed_number(model, b);
}

template <class Coder>
void code_gain(Coder& coder, Gain& gain) {
  gain.shift = static_cast<uint8_t>(coder.raw(gain.shift, 6));
  ExpGolombModel model;
  for (int16_t& m : gain.multiplier) {
    const int32_t v = coder.signed_number(model, m);
    if (v < -32768 || v > 32767) stream_fail("a multiplier is beyond 16 bits");
    m = static_cast<int16_t>(v);
  }
}

template <class Coder>
void code_networks(Coder& coder, Networks& n, int stage) {
  const size_t s = static_cast<size_t>(stage);
  if (stage == 1) {
    for (IntegerLayer* layer : {&n.steps_hidden, &n.steps_out, &n.trunk, &n.center, &n.scale}) {
      code_rows(coder, *layer);
      code_gain(coder, layer->gains[0]);
    }
    for (auto& group : n.groups) {
      code_rows(coder, group.hidden);
      code_rows(coder, group.out);
      code_gain(coder, group.out.gains[0]);
    }
    if (n.pool.out.out > 0)
      for (IntegerLayer* layer : {&n.pool.hidden, &n.pool.out}) {
        code_rows(coder, *layer);
        code_gain(coder, layer->gains[0]);
      }
  }
  code_gain(coder, n.trunk.gains[s]);
  for (auto& group : n.groups) code_gain(coder, group.hidden.gains[s - 1]);
  if (stage < 2) return;
  if (stage == 2) {
    for (auto& trits : n.trits)
      if (trits.out.out > 0)
        for (IntegerLayer* layer : {&trits.hidden, &trits.out}) code_rows(coder, *layer);
    for (auto& trits : n.trits)
      if (trits.out.out > 0) code_gain(coder, trits.out.gains[0]);
  }
  for (auto& trits : n.trits)
    if (trits.out.out > 0) code_gain(coder, trits.hidden.gains[s - 2]);
}

}  // namespace

void check_networks(const Networks& n, int stage) {
  const size_t s = static_cast<size_t>(stage);
  const auto check = [](const IntegerLayer& layer, const std::string& name) {
    check_rows(layer, name);
    check_gain(layer, 0, name);
  };
  const char* const trit_names[3] = {"trit_features", "trit_scaling", "trit_offsets"};
  const auto group_name = [](size_t i) { return "group " + std::to_string(i + 1); };
  if (stage == 1) {
    check(n.steps_hidden, "steps");
    check(n.steps_out, "steps output");
    check(n.trunk, "trunk");
    check(n.center, "center");
    check(n.scale, "scale");
    for (size_t i = 0; i < n.groups.size(); ++i) {
      check_rows(n.groups[i].hidden, group_name(i));
      check(n.groups[i].out, group_name(i) + " output");
    }
    if (n.pool.out.out > 0) {
      check(n.pool.hidden, "pool");
      check(n.pool.out, "pool output");
    }
  }
  check_gain(n.trunk, s, "trunk");
  for (size_t i = 0; i < n.groups.size(); ++i) check_gain(n.groups[i].hidden, s - 1, group_name(i));
  if (stage < 2) return;
  for (size_t a = 0; a < 3; ++a) {
    if (n.trits[a].out.out == 0) continue;
    if (stage == 2) {
      check_rows(n.trits[a].hidden, trit_names[a]);
      check(n.trits[a].out, std::string(trit_names[a]) + " output");
    }
    check_gain(n.trits[a].hidden, s - 2, trit_names[a]);
  }
}

std::vector<uint8_t> write_networks(Networks& networks, const StreamShape& shape, const Stages& stages,
                                    int level) {
  const size_t l = static_cast<size_t>(level) - 1;
  const bool next = level == 1 || stages[l] != stages[l - 1];
  if (next) check_networks(networks, stages[l]);
  BinaryEncoder coder;
  if (shape.selective && level > 1) coder.raw(next, 1);
  if (next) code_networks(coder, networks, stages[l]);
  return coder.finish();
}

void read_networks(Networks& networks, const StreamShape& shape, Stages& stages, const uint8_t* data,
                   size_t size) {
  BinaryDecoder coder(data, size);
  const int before = stages.empty() ? 0 : stages.back();
  const bool next = !shape.selective || stages.empty() || coder.raw(0, 1) != 0;
  stages.push_back(next ? before + 1 : before);
  if (next) code_networks(coder, networks, stages.back());
  check_end(coder);
  if (next) check_networks(networks, stages.back());
}

}  // namespace gspc

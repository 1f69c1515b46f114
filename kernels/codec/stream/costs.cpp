#include "codec/stream/costs.hpp"

#include <algorithm>
#include <cmath>

#include "codec/stream/parallel.hpp"
#include "codec/stream/plan.hpp"
#include "codec/stream/transcode.hpp"

namespace gspc {

namespace {

// One level of a slice. Rows of anchors that a level does not reach, or a slice without that level, are 0.
void store_bits(StreamCosts& out, const std::vector<double>& bits, size_t level, size_t first, size_t n) {
  float* const row = out.bits.data.get() + (level * out.count + first) * kComponents;
  for (size_t i = 0; i < bits.size(); ++i) row[i] = static_cast<float>(bits[i]);
  std::fill(row + bits.size(), row + n * kComponents, 0.0f);
}

void measure_slice(const StreamPlan& plan, const StreamModel& model, size_t slice, SliceState& state,
                   SliceScratch& scratch, StreamCosts& out) {
  const size_t first = plan.first[slice], n = plan.slice_anchors(slice);
  size_t old = 0;
  walk_slice(
      plan, model, slice, state, scratch,
      [&](int level) {
        const SliceParts& parts = plan.parts[static_cast<size_t>(level) - 1][slice];
        old = state.count;
        return SliceMeter(parts, old + parts.fresh);
      },
      [&](int level, const SliceMeter& meter) {
        store_bits(out, meter.bits, static_cast<size_t>(level) - 1, first, n);
        std::fill_n(out.first_level.data.get() + first + old, state.count - old, static_cast<uint8_t>(level));
      });
  for (int level = plan.slice_levels[slice] + 1; level <= out.levels; ++level)
    store_bits(out, {}, static_cast<size_t>(level) - 1, first, n);
  std::copy_n(state.positions.data(), 3 * n, out.positions.data.get() + 3 * first);
}

double entropy(double ones, double zeros) {
  double bits = 0;
  for (double part : {ones, zeros})
    if (part > 0) bits -= part * std::log2(part / (ones + zeros));
  return bits;
}

}  // namespace

StreamCosts stream_costs(const uint8_t* data, size_t size, const DecodeOptions& options) {
  const StreamPlan plan = plan_stream(data, size, options.upto);
  const size_t workers = worker_count(options.threads, plan.slices());
  const uint64_t levels = plan.parts.size();
  const uint64_t result = plan.anchors() * (13 + 4 * uint64_t{kComponents} * levels);
  const uint64_t runs = workers * plan.largest *
                        (8 * kComponents + 8 * static_cast<uint64_t>(plan.header.values()));  // SliceMeter
  check_memory(result + runs + walk_memory(plan, workers), options.max_memory, "measuring");
  check_work(walk_work(plan), options, plan.file.file_bytes);
  const StreamModel model = read_model(plan);

  StreamCosts out;
  out.header = plan.header;
  out.levels = plan.levels();
  out.count = plan.anchors();
  out.positions = Buffer<int32_t>(3 * out.count);
  out.first_level = Buffer<uint8_t>(out.count);
  out.bits = Buffer<float>(levels * out.count * kComponents);
  std::vector<SliceState> states(workers);
  std::vector<SliceScratch> scratch(workers, SliceScratch(model.header));
  parallel_items(workers, plan.slices(), [&](size_t w, size_t slice) {
    measure_slice(plan, model, slice, states[w], scratch[w], out);
  });
  return out;
}

std::vector<double> plane_entropies(const uint8_t* data, size_t size) {
  const Container file = read_container(data, size, 1);
  const GridSpec grid = read_header_of_any_coder(file.head).grid;
  const auto& chunks = file.levels[0];
  const auto chunk =
      std::find_if(chunks.begin(), chunks.end(), [](const Chunk& c) { return c.tag == kTagGrid; });
  if (chunk == chunks.end()) stream_fail_in("level 1", "a chunk of parameters is missing");
  check_crc(*chunk);
  const std::vector<uint8_t> signs =
      read_part(*chunk, [&](const uint8_t* p, size_t n) { return read_grid(grid, p, n); });
  std::vector<double> bits;
  const uint8_t* entry = signs.data();
  for (const GridPlane& plane : grid.planes) {
    double counts[kGridFeatures][4][2] = {};  // by the signs before, the nearer one counts 2
    uint32_t last = 0, before = 0;
    for (const uint8_t* const end = entry + grid_entries(plane); entry < end; ++entry) {
      for (int f = 0; f < kGridFeatures; ++f)
        ++counts[f][2 * (last >> f & 1) + (before >> f & 1)][*entry >> f & 1];
      before = last;
      last = *entry;
    }
    double sum = 0;
    for (const auto& feature : counts)
      for (const auto& context : feature) sum += entropy(context[1], context[0]);
    bits.push_back(sum);
  }
  return bits;
}

}  // namespace gspc

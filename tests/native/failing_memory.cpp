// Every allocation of every training kernel fails once: each must come out as std::bad_alloc on the thread
// that called, and the next call must work. An exception that left an OpenMP region would end the process
// instead. tests/test_parallel.py builds and runs it.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "adam/adam.hpp"
#include "common/parallel.hpp"
#include "grid/grid.hpp"
#include "heads/heads.hpp"
#include "mlp/mlp.hpp"
#include "raster/pool.hpp"
#include "raster/raster.hpp"
#include "rate/rate.hpp"
#include "rows/rows.hpp"
#include "ssim/ssim.hpp"

namespace {

std::atomic<long> g_left{-1};  // allocations until one fails; below 0: none does

void* allocate(std::size_t size, std::size_t alignment) {
  if (g_left.load() >= 0 && g_left.fetch_sub(1) == 0) return nullptr;
  void* data = nullptr;
  return posix_memalign(&data, alignment < sizeof(void*) ? sizeof(void*) : alignment, size) == 0 ? data
                                                                                                 : nullptr;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* data = allocate(size, alignment)) return data;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t to) { return allocate_or_throw(size, std::size_t(to)); }
void operator delete(void* data) noexcept { std::free(data); }
void operator delete[](void* data) noexcept { std::free(data); }
void operator delete(void* data, std::size_t) noexcept { std::free(data); }
void operator delete[](void* data, std::size_t) noexcept { std::free(data); }
void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) { return allocate(size, alignment); }

namespace {

using Floats = std::vector<float>;

struct Heads {
  static constexpr int kFeatures = 8, kOffsets = 2, kHidden = 16, kAnchors = 400;
  gspc::HeadsShape shape{kFeatures, kOffsets, kHidden, 0, 6};
  Floats w = Floats(4096, 0.01f), in = Floats(static_cast<std::size_t>(kAnchors) * 16, 0.9f);
  Floats alpha = Floats(kAnchors * kOffsets), out = Floats(kAnchors * kOffsets * 4 * 7), grad = Floats(65536);
  std::vector<std::int32_t> starts = std::vector<std::int32_t>(kAnchors + 1),
                            active = std::vector<std::int32_t>(kAnchors);
  std::vector<std::int64_t> index = std::vector<std::int64_t>(kAnchors * kOffsets);

  void run() {
    const float* m = w.data();
    const gspc::HeadsWeights weights{m, m, m, m, m, m, m, m, 1.0f};
    const float* x = in.data();
    const gspc::HeadsInput input{kAnchors, nullptr, x, x, x, x, x, {0.0f, 0.0f, 0.0f}};
    gspc::HeadsSelection selection{alpha.data(), starts.data(), active.data(), 0};
    const std::size_t drawn = gspc::heads_select(shape, weights, input, nullptr, selection);
    if (drawn == 0) throw std::logic_error("no Gaussians drawn");
    float* o = out.data();
    const std::size_t room = kAnchors * kOffsets * 4;
    const gspc::HeadsOutput output{
        index.data(), o, o + room, o + 2 * room, o + 3 * room, o + 4 * room, o + 5 * room, o + 6 * room};
    gspc::heads_forward(shape, weights, input, selection, output);
    float* g = grad.data();
    gspc::heads_backward(shape, weights, input, selection, output, {o, o, o, o, o},
                         {nullptr, g, g, g, g, g, g, g, g, g, g, g, g});
  }
};

struct Rows {
  static constexpr std::size_t kRows = 500, kOffsets = 4, kPlanes = 3;
  std::vector<std::int64_t> index = std::vector<std::int64_t>(kRows);
  Floats masks = Floats(kRows * kOffsets * kPlanes, 0.3f), out = masks, grad = masks;
  Floats world = Floats(kRows * 3, 0.1f), scales = Floats(kRows * 6), where = world;

  void run() {
    for (std::size_t i = 0; i < kRows; ++i) index[i] = static_cast<std::int64_t>(i);
    const gspc::RowsIndex rows{kRows, index.data(), kRows, nullptr, 0};
    gspc::rows_mask(rows, masks.data(), kOffsets, kPlanes, 2, out.data(), nullptr);
    gspc::rows_mask_backward(rows, masks.data(), kOffsets, kPlanes, 2, out.data(), nullptr, 1.0f,
                             grad.data());
    const gspc::RowsView view{
        {1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}, {50, 50}, {32, 32}, {64, 64}, 200, 7, 0.01f, 1, 1e-5f};
    const gspc::RowsAnchors anchors{world.data(), scales.data(), masks.data(), kRows, 6, kOffsets};
    std::vector<std::int64_t> seen(kRows);
    gspc::rows_visible(anchors, view, seen.data(), where.data());
    gspc::rows_product(world.data(), kRows);
  }
};

struct Rate {
  static constexpr std::size_t kRows = 300, kWidth = 20;
  Floats values = Floats(kRows * kWidth * 2, 0.1f), ones = Floats(kRows, 1.0f), sums = ones, to[7];
  Rate() {
    for (Floats& t : to) t.resize(kRows * kWidth * 3);
  }

  void run() {
    const gspc::RateMatrix m{values.data(), kWidth};
    const gspc::RateAttribute attribute{kRows, kWidth, m, m, m, {ones.data(), 1}, 1.0f, 1.0f};
    const gspc::RateDerivatives by{to[0].data(), to[1].data(), to[2].data(), to[3].data()};
    const float* weights = ones.data();
    gspc::rate_appearance(attribute, {true, 1}, weights, 1, {}, sums.data(), by);
    gspc::rate_chunk_inputs(attribute, {{5, 10, to[4].data(), nullptr}});
    gspc::rate_chunk_inputs_backward(attribute, {{5, 10, nullptr, to[4].data()}}, by);
    gspc::rate_trits(attribute, {9, 1}, to[5].data(), to[6].data());
    gspc::rate_three_way(kRows, kWidth, {values.data(), 2 * kWidth}, to[6].data(), weights, 1, sums.data(),
                         to[4].data());
    gspc::rate_gaussian_trits(attribute, {9, 1}, weights, 1, sums.data(), by);
  }
};

void mlp() {
  constexpr int kInputs = 20, kHidden = 24, kOutputs = 10;
  constexpr std::size_t kRows = 2000;
  Floats w(1024, 0.1f), x(kRows * kInputs, 0.2f), hidden(kRows * 32), y(kRows * kOutputs), grad(4096),
      grad_x(x.size());
  std::vector<std::int64_t> index(kRows);
  for (std::size_t i = 0; i < kRows; ++i) index[i] = static_cast<std::int64_t>(kRows - 1 - i);
  const std::vector<gspc::TwoLayerWeights> networks{
      {kInputs, kHidden, kOutputs, w.data(), w.data(), w.data(), w.data()}};
  const gspc::TwoLayerRows rows{x.data(), index.data(), kRows};
  gspc::two_layer_forward(networks, rows, {{hidden.data(), y.data()}});
  gspc::two_layer_backward(networks, rows,
                           {{hidden.data(), y.data(), grad.data(), grad.data(), grad.data(), grad.data()}},
                           grad_x.data());
}

void adam() {
  Floats value(100000), moment(value), square(value), grad(value);
  gspc::adam({{value.data(), moment.data(), square.data(), grad.data(), value.size(), 0.1f, 1.0f, 0.9f, 0.99f,
               1e-8f}});
}

void grid() {
  const gspc::GridSpec spec{{0, 0, 0}, {100, 100, 100}, {{0, 15, 12}, {1, 31, 12}}};
  const std::size_t entries = gspc::grid_entries(spec), n = 1000, width = gspc::grid_context_size(spec);
  Floats embeddings(entries * 4, 0.5f), out(n * width), grad(embeddings.size());
  std::vector<std::uint8_t> table(entries + 64);
  std::vector<std::int32_t> positions(3 * n, 7);
  gspc::grid_pack_signs(embeddings.data(), entries, table.data());
  gspc::grid_forward(spec, table.data(), positions.data(), n, out.data());
  gspc::grid_backward(spec, embeddings.data(), positions.data(), out.data(), n, grad.data());
}

void ssim() {
  Floats image(100 * 90 * 3, 0.5f), target(image.size(), 0.4f), gradient(image.size());
  gspc::ssim::Job job;
  job.image = image.data(), job.target_floats = target.data(), job.gradient = gradient.data();
  job.width = 90, job.height = 100;
  gspc::ssim::compare(job, {0.8f, 0.1f, 0.2f});
  gspc::ssim::squared_error(job);
}

void raster() {
  constexpr std::size_t kCount = 5000;
  Floats means(kCount * 3, 0.0f), quats(kCount * 4, 0.5f), scales(kCount * 3, 0.05f), opacities(kCount, 0.5f),
      colors(kCount * 3, 0.5f);
  for (std::size_t i = 0; i < kCount; ++i) means[3 * i + 2] = 2.0f + static_cast<float>(i) * 1e-3f;
  Floats image(64 * 64 * 3), alpha(64 * 64), grad(kCount * 4);
  std::vector<std::int32_t> radii(kCount);
  const gspc::raster::Scene scene{kCount,        means.data(),     quats.data(),
                                  scales.data(), opacities.data(), colors.data()};
  const gspc::raster::View view{{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}, 60, 60, 32, 32, 64, 64, {0, 0, 0}};
  gspc::pool_trim();  // blocks that were kept need no allocation
  const auto state = gspc::raster::forward(scene, view, image.data(), alpha.data(), radii.data());
  if (state->pairs == 0) throw std::logic_error("nothing drawn");
  float* g = grad.data();
  gspc::raster::backward(*state, scene, image.data(), nullptr, {g, g, g, g, g, g});
}

// What `work` throws on a thread of its own, which has no memory of earlier calls yet: 0 nothing, 1
// std::bad_alloc, 2 anything else.
int outcome(const std::function<void()>& work, long failing) {
  int result = 0;
  const auto body = [&] {
    omp_set_num_threads(4);
    try {
      g_left = failing;
      work();
    } catch (const std::bad_alloc&) {
      result = 1;
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
      result = 2;
    }
    g_left = -1;
  };
  std::thread(body).join();
  return result;
}

bool survives(const char* name, const std::function<void()>& work) {
  long failing = 0;
  for (; failing < 1000; ++failing) {
    const int result = outcome(work, failing);
    if (result == 2) return false;
    if (result == 0) break;
  }
  std::printf("%s %ld\n", name, failing);
  return failing > 0 && failing < 1000;
}

// An exception of one item reaches the caller, from each kind of loop.
bool carries() {
  const auto work = [](std::int64_t i) {
    if (i == 5) throw std::runtime_error("item 5");
  };
  const std::function<void()> loops[] = {[&] { gspc::parallel_for(100, work); },
                                         [&] { gspc::parallel_for_dynamic(100, 2, work); },
                                         [&] { gspc::on_every_thread([&] { work(5); }); }};
  for (const auto& loop : loops) {
    bool thrown = false;
    try {
      loop();
    } catch (const std::runtime_error& error) {
      thrown = std::string(error.what()) == "item 5";
    }
    if (!thrown) return false;
  }
  std::atomic<int> done{0};
  gspc::parallel_for(100, [&](std::int64_t) { ++done; });
  return done == 100;
}

}  // namespace

int main() {
  omp_set_num_threads(4);
  if (!carries()) return std::printf("an exception got lost\n"), 1;
  Heads heads;
  Rows rows;
  Rate rate;
  const bool good = survives("heads", [&] { heads.run(); }) & survives("rows", [&] { rows.run(); }) &
                    survives("rate", [&] { rate.run(); }) & survives("mlp", mlp) & survives("adam", adam) &
                    survives("grid", grid) & survives("ssim", ssim) & survives("raster", raster);
  return good ? 0 : 1;
}

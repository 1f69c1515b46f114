// Fused L1 and SSIM of a picture against a photograph, and their gradient with respect to the picture.
// SSIM: 11x11 Gaussian window, sigma 1.5, zero padding, C1 = 0.01^2, C2 = 0.03^2, mean over pixels and
// channels (Wang et al. 2004). image [H, W, 3] float32; target [H, W, 3] float32, or uint8 standing for value
// / 255.
//
// Forward: a block takes 16x16 pixels with a border of 5 into shared memory, blurs the five moments along
// rows, then along columns, and leaves one pair of sums; a last block adds the pairs in a fixed order, so
// results repeat bit for bit. It also keeps the derivatives of SSIM by mu_x, E[xx] and E[xy] per value: the
// backward pass blurs those three maps,
//   d SSIM / d x(p) = sum_q w(p - q) (d_mu(q) + 2 x(p) d_xx(q) + y(p) d_xy(q)).
#include "launch.cuh"

namespace gspc {
namespace {

constexpr int TILE = 16;
constexpr int RADIUS = 5;
constexpr int TAPS = 2 * RADIUS + 1;
constexpr int SPAN = TILE + 2 * RADIUS;
constexpr int THREADS = TILE * TILE;
constexpr float C1 = 0.01f * 0.01f;
constexpr float C2 = 0.03f * 0.03f;

// exp(-i^2 / 4.5), normalized.
__constant__ float WINDOW[TAPS] = {0.00102838012f, 0.00759875821f, 0.0360007733f, 0.109360687f,
                                   0.213005543f,   0.266011715f,   0.213005543f,  0.109360687f,
                                   0.0360007733f,  0.00759875821f, 0.00102838012f};

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(uint8_t value) { return static_cast<float>(value) / 255.0f; }

// Of a mean squared error, below which its root has no slope (gspc/ops/ssim/definition.py).
constexpr float LEAST_SQUARED = 1e-12f;

// How means over pixels make the loss; see PhotometricCall.
struct Loss {
  float weight;
  bool root;
  const float* counting;
};

__device__ inline float factor_of(const Loss& loss) {
  return loss.counting != nullptr ? loss.counting[0] : 1.0f;
}

__device__ inline double root_of(double squared) {
  return sqrt(squared < LEAST_SQUARED ? LEAST_SQUARED : squared);
}

// Adds up the blocks' values of all threads; every thread gets the sum. `scratch` is [THREADS], shared.
template <typename Value>
__device__ Value block_sum(Value value, Value* scratch, int thread) {
  __syncthreads();
  scratch[thread] = value;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (thread < half) scratch[thread] += scratch[thread + half];
    __syncthreads();
  }
  return scratch[0];
}

template <typename Target>
__global__ void __launch_bounds__(THREADS)
    photometric_forward(const float* image, const Target* target, int height, int width, float* maps,
                        float* partial) {
  __shared__ float x[SPAN][SPAN];
  __shared__ float y[SPAN][SPAN];
  __shared__ float moments[5][SPAN][TILE];
  __shared__ float scratch[THREADS];
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * TILE + tx;
  const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
  const bool inside = left + tx < width && top + ty < height;
  const size_t pixel = static_cast<size_t>(top + ty) * width + left + tx;
  const size_t count = static_cast<size_t>(height) * width * 3;
  float l1 = 0.0f, ssim = 0.0f, squares = 0.0f;
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = thread; i < SPAN * SPAN; i += THREADS) {
      const int row = top + i / SPAN - RADIUS, column = left + i % SPAN - RADIUS;
      const bool there = row >= 0 && row < height && column >= 0 && column < width;
      const size_t at = there ? (static_cast<size_t>(row) * width + column) * 3 + channel : 0;
      x[i / SPAN][i % SPAN] = there ? image[at] : 0.0f;
      y[i / SPAN][i % SPAN] = there ? to_float(target[at]) : 0.0f;
    }
    __syncthreads();
    for (int i = thread; i < SPAN * TILE; i += THREADS) {
      const int row = i / TILE, column = i % TILE;
      float sum[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) {
        const float a = x[row][column + tap], b = y[row][column + tap], w = WINDOW[tap];
        sum[0] += w * a;
        sum[1] += w * b;
        sum[2] += w * a * a;
        sum[3] += w * b * b;
        sum[4] += w * a * b;
      }
      for (int moment = 0; moment < 5; ++moment) moments[moment][row][column] = sum[moment];
    }
    __syncthreads();
    if (inside) {
      float sum[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap)
        for (int moment = 0; moment < 5; ++moment) sum[moment] += WINDOW[tap] * moments[moment][ty + tap][tx];
      const float mu_x = sum[0], mu_y = sum[1];
      const float a = 2.0f * mu_x * mu_y + C1;
      const float b = 2.0f * (sum[4] - mu_x * mu_y) + C2;
      const float c = mu_x * mu_x + mu_y * mu_y + C1;
      const float d = (sum[2] - mu_x * mu_x) + (sum[3] - mu_y * mu_y) + C2;
      const float value = a * b / (c * d);
      const float a_pixel = x[ty + RADIUS][tx + RADIUS], b_pixel = y[ty + RADIUS][tx + RADIUS];
      const float off = (a_pixel < 0.0f ? 0.0f : a_pixel > 1.0f ? 1.0f : a_pixel) - b_pixel;
      squares += off * off;
      l1 += fabsf(a_pixel - b_pixel);
      ssim += value;
      if (maps != nullptr) {
        float* map = maps + pixel * 3 + channel;
        map[0] = 2.0f * (mu_y * (b - a) / (c * d) - mu_x * value * (1.0f / c - 1.0f / d));
        map[count] = -value / d;
        map[2 * count] = 2.0f * a / (c * d);
      }
    }
    __syncthreads();
  }
  l1 = block_sum(l1, scratch, thread);
  ssim = block_sum(ssim, scratch, thread);
  squares = block_sum(squares, scratch, thread);
  if (thread == 0) {
    const size_t block = static_cast<size_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    partial[3 * block] = l1;
    partial[3 * block + 1] = ssim;
    partial[3 * block + 2] = squares;
  }
}

// One block: means of what the tiles have, added in double in an order that does not depend on the machine,
// and the loss that they make.
__global__ void __launch_bounds__(THREADS)
    photometric_mean(float* partial, int tiles, double count, Loss of, float* means, float* loss) {
  __shared__ double scratch[THREADS];
  double sums[3] = {0.0, 0.0, 0.0};
  for (int i = threadIdx.x; i < tiles; i += THREADS)
    for (int j = 0; j < 3; ++j) sums[j] += partial[3 * i + j];
  for (double& sum : sums) sum = block_sum(sum, scratch, static_cast<int>(threadIdx.x)) / count;
  if (threadIdx.x != 0) return;
  for (int j = 0; j < 3; ++j) means[j] = static_cast<float>(sums[j]);
  partial[0] = means[2];
  const double counting = factor_of(of), weight = of.weight;
  const double error = of.root ? root_of(counting * sums[2]) : counting * sums[0];
  loss[0] = static_cast<float>((1.0 - weight) * error + weight * counting * (1.0 - sums[1]));
}

template <typename Target>
__global__ void __launch_bounds__(THREADS)
    photometric_backward(const float* image, const Target* target, int height, int width, const float* maps,
                         const float* partial, const float* by_means, const float* by_loss, Loss of,
                         float* grad_image) {
  __shared__ float tile[3][SPAN][SPAN];
  __shared__ float blurred[3][SPAN][TILE];
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * TILE + tx;
  const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
  const bool inside = left + tx < width && top + ty < height;
  const size_t count = static_cast<size_t>(height) * width * 3;
  float grad_l1 = 0.0f, grad_ssim = 0.0f, grad_squares = 0.0f;
  if (by_means != nullptr) {
    grad_l1 = by_means[0];
    grad_ssim = by_means[1];
  }
  if (by_loss != nullptr) {
    const float by = by_loss[0] * factor_of(of), squared = factor_of(of) * partial[0];
    if (!of.root) grad_l1 += (1.0f - of.weight) * by;
    else if (squared > LEAST_SQUARED) grad_squares = (1.0f - of.weight) * by / sqrtf(squared);
    grad_ssim -= of.weight * by;
  }
  grad_l1 /= static_cast<float>(count);
  grad_ssim /= static_cast<float>(count);
  grad_squares /= static_cast<float>(count);  // times image - target
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = thread; i < SPAN * SPAN; i += THREADS) {
      const int row = top + i / SPAN - RADIUS, column = left + i % SPAN - RADIUS;
      const bool there = row >= 0 && row < height && column >= 0 && column < width;
      const size_t at = there ? (static_cast<size_t>(row) * width + column) * 3 + channel : 0;
      for (int map = 0; map < 3; ++map) tile[map][i / SPAN][i % SPAN] = there ? maps[map * count + at] : 0.0f;
    }
    __syncthreads();
    for (int i = thread; i < 3 * SPAN * TILE; i += THREADS) {
      const int map = i / (SPAN * TILE), row = i / TILE % SPAN, column = i % TILE;
      float sum = 0.0f;
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) sum += WINDOW[tap] * tile[map][row][column + tap];
      blurred[map][row][column] = sum;
    }
    __syncthreads();
    if (inside) {
      float sum[3] = {0.0f, 0.0f, 0.0f};
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap)
        for (int map = 0; map < 3; ++map) sum[map] += WINDOW[tap] * blurred[map][ty + tap][tx];
      const size_t at = (static_cast<size_t>(top + ty) * width + left + tx) * 3 + channel;
      const float a = image[at], b = to_float(target[at]);
      const float sign = a > b ? 1.0f : a < b ? -1.0f : 0.0f;
      const float off = grad_l1 * sign + grad_squares * (a - b);
      grad_image[at] = off + grad_ssim * (sum[0] + 2.0f * a * sum[1] + b * sum[2]);
    }
    __syncthreads();
  }
}

// gspc/ops/ssim/cuda.py has the same fields in the same order.
struct PhotometricCall {
  const float* image;    // [H, W, 3]
  const void* target;    // the same, float32 or uint8
  int32_t target_bytes;  // 4 or 1
  int32_t height, width;
  float weight;           // of 1 - SSIM in the loss; the rest is that of the error
  int32_t root;           // whether the error is the root of the mean squared one, or the mean absolute one
  const float* counting;  // [] on means over pixels, where not all of them count; or null
  float* maps;            // [3, H, W, 3] for the backward pass; null leaves it out
  // Scratch of three for each tile. The forward pass leaves the mean squared difference in the first one, and
  // the backward pass reads it.
  float* partial;
  // [3] mean |image - target|, SSIM, and the squared difference from the image between 0 and 1; [1]
  float *means, *loss;
  const float *by_means, *by_loss;  // gradients of the first two and of the loss, or null
  float* grad_image;                // [H, W, 3], overwritten
};

Loss loss_of(const PhotometricCall& call) { return {call.weight, call.root != 0, call.counting}; }

bool usable(const PhotometricCall& call) {
  return call.height > 0 && call.width > 0 && call.height <= 1 << 16 && call.width <= 1 << 16;
}

double values_of(const PhotometricCall& call) { return 3.0 * call.height * call.width; }

// Calls with(target) with the type that the target has.
template <class With>
void typed(const PhotometricCall& call, With with) {
  if (call.target_bytes == 1) with(static_cast<const uint8_t*>(call.target));
  else with(static_cast<const float*>(call.target));
}

dim3 tiles_of(const PhotometricCall& call) {
  return dim3((call.width + TILE - 1) / TILE, (call.height + TILE - 1) / TILE);
}

}  // namespace
}  // namespace gspc

// Tiles of a picture.
GSPC_EXPORT int64_t gspc_photometric_tiles(int height, int width) {
  using gspc::TILE;
  return static_cast<int64_t>((height + TILE - 1) / TILE) * ((width + TILE - 1) / TILE);
}

GSPC_EXPORT int gspc_photometric_forward(const gspc::PhotometricCall* given, cudaStream_t stream) {
  using namespace gspc;
  const PhotometricCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  typed(call, [&](auto* target) {
    GSPC_LAUNCH(photometric_forward, tiles_of(call), dim3(TILE, TILE), stream, call.image, target,
                call.height, call.width, call.maps, call.partial);
  });
  const int tiles = static_cast<int>(gspc_photometric_tiles(call.height, call.width));
  GSPC_LAUNCH(photometric_mean, dim3(1), dim3(THREADS), stream, call.partial, tiles, values_of(call),
              loss_of(call), call.means, call.loss);
  return launch_status();
}

GSPC_EXPORT int gspc_photometric_backward(const gspc::PhotometricCall* given, cudaStream_t stream) {
  using namespace gspc;
  const PhotometricCall call = *given;
  if (!usable(call)) return static_cast<int>(cudaErrorInvalidValue);
  typed(call, [&](auto* target) {
    GSPC_LAUNCH(photometric_backward, tiles_of(call), dim3(TILE, TILE), stream, call.image, target,
                call.height, call.width, call.maps, call.partial, call.by_means, call.by_loss, loss_of(call),
                call.grad_image);
  });
  return launch_status();
}

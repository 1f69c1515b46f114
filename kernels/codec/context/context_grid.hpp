// The binary multi-resolution context grid: exact integers from an anchor position and sign bits to context
// values. Shared by training (gspc._kernels) and coding (gspc._codec), so that both see the same context on
// every machine.
//
// A position p in [0, 2^21) maps per axis to u in [0, 2^20): the box [low, low + size) fills the middle
// 15/16, space outside it is contracted into the rest. A plane of resolution R has (R+1)^d corners, stored
// densely when they fit 2^log2_size entries, else hashed. Each entry holds kGridFeatures signs; a context
// value is the linear interpolation of the signs of the surrounding corners, rounded to 1/512: an integer in
// [-512, 512].
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gspc {

constexpr int kGridFeatures = 4;                 // values per entry
constexpr int kGridOne = 512;                    // the context value that means 1.0
constexpr uint32_t kGridPositionEnd = 1u << 21;  // positions are below this
constexpr int kGridMaxResolution = 2047;         // u * R stays below 2^31
constexpr int kGridMaxLog2Size = 22;             // 4 M entries: 2 MB of signs, far above any useful table
constexpr size_t kGridMaxPlanes = 64;            // the reference uses 24; bounds the context to 256 values
constexpr uint64_t kGridMaxEntries = 1u << 24;   // of all planes: 16 MB as bytes; the reference uses 0.44 M
constexpr int32_t kGridMaxBox =
    1 << 22;  // |low| and size: the box may reach beyond the positions on both sides
constexpr size_t kGridSignPadding =
    16;  // readable bytes after the last entry of a sign table (vector gathers)

struct GridPlane {
  int32_t dims;        // 0: xyz, 1: xy, 2: xz, 3: yz
  int32_t resolution;  // R, 1 .. kGridMaxResolution
  int32_t log2_size;   // T, 1 .. kGridMaxLog2Size: at most 2^T entries
};

struct GridSpec {
  int32_t box_low[3];
  int32_t box_size[3];  // >= 1
  std::vector<GridPlane> planes;
};

// nullptr if every limit above holds, else one line that says what does not. Everything below needs a valid
// spec.
const char* grid_spec_error(const GridSpec& spec);

bool grid_is_dense(const GridPlane& plane);
uint64_t grid_entries(const GridPlane& plane);  // min((R+1)^d, 2^T)
uint64_t grid_entries(const GridSpec& spec);    // sum over planes; tables lie in plane order
inline size_t grid_context_size(const GridSpec& spec) { return spec.planes.size() * kGridFeatures; }

// A sign table is one byte per entry, bit f = feature f, 1 = +1 and 0 = -1, then kGridSignPadding readable
// bytes. All -1, to be filled by a decoder: table[entry] |= 1 << f.
std::vector<uint8_t> grid_sign_table(const GridSpec& spec);
// From one byte per sign (0 = -1, anything else = +1), [entries, kGridFeatures].
std::vector<uint8_t> grid_sign_table(const GridSpec& spec, const uint8_t* signs);

// Context of n positions: positions [n, 3] (values outside [0, 2^21) are clamped), out int16 [n,
// grid_context_size]. Reentrant; single-threaded: split the positions to use more threads. The same integers
// on every instruction set.
void grid_context(const GridSpec& spec, const uint8_t* sign_table, const int32_t* positions, size_t n,
                  int16_t* out);

// The normalized coordinate u of one axis.
uint32_t grid_coordinate(int32_t position, int32_t low, int32_t size);

// Coordinates of n positions, one array per axis; arrays hold n rounded up to 16, the rest is set to 0.
void grid_coordinates(const GridSpec& spec, const int32_t* positions, size_t n, uint32_t* const u[3]);

// One plane as the kernels see it.
struct GridPlaneKernel {
  uint32_t resolution;
  uint32_t mask;  // 2^T - 1 if hashed, else all ones
  uint8_t axes[3];
  bool is_3d, dense;
};
GridPlaneKernel grid_plane_kernel(const GridPlane& plane);

}  // namespace gspc

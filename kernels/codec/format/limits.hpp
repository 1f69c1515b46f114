// Limits of format version 1, each with its reason in man/pcgs.5. tests/test_bitstream.py holds them against
// the page and gspc/format/limits.py.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

inline constexpr uint8_t kMagic[8] = {0x89, 'P', 'C', 'G', 'S', 0x0D, 0x0A, 0x1A};
inline constexpr int kVersionMajor = 1;
inline constexpr int kVersionMinor = 0;
inline constexpr size_t kPreambleBytes = 12;
inline constexpr size_t kChunkHeaderBytes = 24;
inline constexpr size_t kIndexWindow = 16384;  // preamble, INDX and HEAD end within it

inline constexpr int kMaxLevels = 8;
inline constexpr int kMaxFeatures = 256;
inline constexpr int kMaxOffsets = 32;
inline constexpr int kMaxHidden = 512;
inline constexpr int kMaxPool = 256;
inline constexpr int kMaxGroups = 8;  // of the features, for intra-anchor context
inline constexpr int kMaxPositionBits = 21;  // per axis: three fit a 64-bit Morton key
inline constexpr size_t kMaxSlices = 2048;
inline constexpr size_t kMaxCameras = 64;
inline constexpr size_t kMaxMetadataBytes = size_t{1} << 20;
inline constexpr size_t kMaxChunkBytes = size_t{1} << 30;
inline constexpr size_t kMaxAnchorsPerByte = 8;  // fresh anchors of a slice <= this * payload bytes
inline constexpr double kMaxFrameScale = 1e30;  // of user's coordinates: products of two stay finite
inline constexpr int32_t kMaxSymbol = (1 << 23) - 1;
inline constexpr int kMaxActivation = 2047;
inline constexpr int64_t kAccumulatorBound = int64_t{1} << 24;

}  // namespace gspc

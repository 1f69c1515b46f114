// Limits of the format, each with its reason in man/pcgs.5. tests/test_bitstream.py holds them against
// the page and gspc/format/limits.py.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

inline constexpr uint8_t kMagic[8] = {0x89, 'P', 'C', 'G', 'S', 0x0D, 0x0A, 0x1A};
inline constexpr int kVersionMajor = 2;  // the newest that is known here; the oldest is 1
inline constexpr int kVersionMinor = 0;  // of streams without what came later
inline constexpr int kSwellMinor = 2;    // of streams with a swel chunk
inline constexpr size_t kPreambleBytes = 12;
inline constexpr size_t kChunkHeaderBytes = 24;
inline constexpr size_t kIndexWindow = 16384;  // preamble, INDX and HEAD end within it

inline constexpr int kMaxLevels = 8;
inline constexpr int kMaxFeatures = 256;
inline constexpr int kMaxOffsets = 32;
inline constexpr int kMaxHidden = 512;
inline constexpr int kMaxPool = 256;
inline constexpr int kMaxGroups = 8;         // of the features, for intra-anchor context
inline constexpr int kMaxPositionBits = 21;  // per axis: three fit a 64-bit Morton key
inline constexpr size_t kMaxSlices = 2048;
inline constexpr size_t kMaxCameras = 64;
inline constexpr size_t kMaxMetadataBytes = size_t{1} << 20;
inline constexpr size_t kMaxChunkBytes = size_t{1} << 30;
inline constexpr size_t kMaxAnchorsPerByte = 8;  // fresh anchors of a slice <= this * payload bytes
inline constexpr double kMinFrameScale = 0x1p-64, kMaxFrameScale = 0x1p32;  // user's units per own unit
inline constexpr int32_t kMaxSymbol = (1 << 23) - 1;
inline constexpr int kMaxActivation = 2047;
inline constexpr int64_t kAccumulatorBound = int64_t{1} << 24;

// What keeps every value finite in float32 from the decoder to the picture (man/pcgs.5, LIMITS).
inline constexpr size_t kMaxNameBytes = 1024;
inline constexpr uint32_t kMaxSide = 65535;           // pixels: 16 bits
inline constexpr double kMinFocal = 1.0 / (1 << 10);  // pixels
inline constexpr double kMaxFocal = 1 << 30;
inline constexpr double kMaxCenter = 1 << 24;      // pixels, from the corner of the picture
inline constexpr double kMaxRotationError = 1e-3;  // of the rows' products from 0 and 1
inline constexpr double kMaxOrigin = 4294967296;   // world units
inline constexpr double kMaxTranslation = 8589934592;
inline constexpr double kMaxVoxel = 1 << 11;
inline constexpr double kMaxStep = 1 << 20;
inline constexpr double kMaxHeadFloat = 1 << 20;  // scales, biases and the distance scale of the heads

// Bytes that decoding may take unless asked otherwise.
inline constexpr int64_t kMaxMemory = int64_t{4} << 30;

}  // namespace gspc

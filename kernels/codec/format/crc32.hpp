// CRC-32 as in zlib, gzip and PNG (polynomial 0xEDB88320, reflected).
#pragma once

#include <cstddef>
#include <cstdint>

namespace gspc {

uint32_t crc32(const uint8_t* data, size_t size, uint32_t crc = 0);

}  // namespace gspc

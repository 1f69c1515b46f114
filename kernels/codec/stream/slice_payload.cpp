// The payload of a slice at one level: six numbers, four parts, padding.
#include "codec/format/bytes.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

std::vector<uint8_t> write_slice(const SliceParts& parts) {
  ByteWriter out;
  out.varint(parts.fresh);
  out.varint(parts.gaussians);
  const SliceParts::Bytes* const all[4] = {&parts.positions, &parts.masks, &parts.escapes, &parts.lanes};
  for (const auto* part : all) out.varint(part->size);
  for (const auto* part : all) out.bytes.insert(out.bytes.end(), part->data, part->data + part->size);
  while (out.bytes.size() * kMaxAnchorsPerByte < parts.fresh) out.u8(0);
  return out.bytes;
}

SliceParts read_slice(const Chunk& chunk) {
  const std::string name = chunk.name();
  ByteReader in(chunk.payload, chunk.length, name.c_str());
  SliceParts parts;
  parts.fresh = in.varint();
  parts.gaussians = in.varint();
  if (parts.fresh > uint64_t{kMaxAnchorsPerByte} * chunk.length)
    stream_fail_in(name, "more new anchors than 8 per byte");
  SliceParts::Bytes* const all[4] = {&parts.positions, &parts.masks, &parts.escapes, &parts.lanes};
  for (auto* part : all) part->size = in.varint();
  for (auto* part : all) part->data = in.take(part->size);
  while (in.left() > 0)
    if (in.u8() != 0) stream_fail_in(name, "padding is not zero");
  return parts;
}

}  // namespace gspc

#include "codec/stream/stream.hpp"

namespace gspc {

std::vector<uint8_t> write_slice(SliceWriter& streams, size_t fresh, size_t gaussians) {
  const std::vector<uint8_t> parts[4] = {streams.positions.finish(), streams.masks.finish(),
                                         streams.escapes.finish(), streams.lanes.finish()};
  ByteWriter out;
  out.varint(fresh);
  out.varint(gaussians);
  for (const auto& part : parts) out.varint(part.size());
  for (const auto& part : parts) out.append(part);
  while (out.bytes.size() * kMaxAnchorsPerByte < fresh) out.u8(0);
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
  SliceReader::Part* const all[4] = {&parts.positions, &parts.masks, &parts.escapes, &parts.lanes};
  for (auto* part : all) part->size = in.varint();
  for (auto* part : all) part->data = in.take(part->size);
  while (in.left() > 0)
    if (in.u8() != 0) stream_fail_in(name, "padding is not zero");
  return parts;
}

KeyInterval slice_interval(const StreamIndex& index, size_t slice, int position_bits) {
  const uint64_t end = uint64_t{1} << (3 * position_bits);
  return {index.first_key[slice], slice + 1 < index.slices() ? index.first_key[slice + 1] : end};
}

}  // namespace gspc

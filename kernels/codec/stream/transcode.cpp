#include "codec/stream/transcode.hpp"

#include <string>
#include <utility>

#include "codec/entropy/rans.hpp"
#include "codec/stream/plan.hpp"

namespace gspc {

namespace {

using Payloads = std::vector<std::vector<std::vector<uint8_t>>>;  // [level][slice]

class LaneReader : public RunReader {
 public:
  explicit LaneReader(const SliceParts::Bytes& bytes) : lanes_(bytes.data, bytes.size) {}
  void gaussian(const uint8_t* table, int32_t* k, size_t n, std::vector<uint32_t>& escaped) override {
    lanes_.gaussian(table, k, n, escaped);
  }
  void trits(const uint16_t* table, int8_t* trit, size_t n) override { lanes_.trits(table, trit, n); }
  void mixture(const Mixture& mixture, int32_t* k, size_t n, std::vector<uint32_t>& escaped) override {
    lanes_.mixture(mixture, k, n, escaped);
  }
  bool finished() override { return lanes_.finished(); }

 private:
  RansDecoder lanes_;
};

class LaneWriter : public RunWriter {
 public:
  void gaussian(const uint8_t* table, const int32_t* k, size_t n) override {
    lanes_.gaussian(table, k, n, escaped_);
  }
  void trits(const uint16_t* table, const int8_t* trit, size_t n) override { lanes_.trits(table, trit, n); }
  void mixture(const Mixture& mixture, const int32_t* k, size_t n) override {
    lanes_.mixture(mixture, k, n, escaped_);
  }
  std::vector<uint8_t> finish() override { return lanes_.finish(); }

 private:
  RansEncoder lanes_;
  std::vector<uint32_t> escaped_;  // the reader said so already
};

SymbolCoder coder_of(const Chunk& head) {
  const int coder = head.length > kCoderAt ? head.payload[kCoderAt] : -1;
  if (coder != 0 && coder != 1) stream_fail_in("chunk HEAD", "unknown symbol coder " + std::to_string(coder));
  return static_cast<SymbolCoder>(coder);
}

// All levels of one slice.
void transcode_slice(const StreamPlan& plan, const StreamModel& model, size_t slice, SymbolCoder to,
                     ForeignCoder& foreign, SliceState& state, SliceScratch& scratch, Payloads& payloads) {
  std::unique_ptr<RunReader> reader;
  std::unique_ptr<RunWriter> writer;
  walk_slice(
      plan, model, slice, state, scratch,
      [&](int level) {
        const SliceParts& parts = plan.parts[static_cast<size_t>(level) - 1][slice];
        if (to == SymbolCoder::lanes) {
          reader = foreign.reader(parts.lanes.data, parts.lanes.size);
          writer = std::make_unique<LaneWriter>();
        } else {
          reader = std::make_unique<LaneReader>(parts.lanes);
          writer = foreign.writer();
        }
        return SliceTranscoder(parts, *reader, *writer);
      },
      [&](int level, const SliceTranscoder&) {
        const size_t l = static_cast<size_t>(level) - 1;
        const std::vector<uint8_t> symbols = writer->finish();
        SliceParts parts = plan.parts[l][slice];
        parts.lanes = {symbols.data(), symbols.size()};
        payloads[l][slice] = write_slice(parts);
      });
}

// The file with other slices, and an index that says so. Its other chunks keep their bytes and INDX and HEAD
// their lengths, hence level 1 its place.
std::vector<uint8_t> assemble(const uint8_t* data, const Container& file, const Payloads& payloads,
                              SymbolCoder to) {
  StreamIndex index = file.index;
  std::vector<uint8_t> body;
  uint64_t at = index.levels[0].offset;
  for (size_t l = 0; l < index.levels.size(); ++l) {
    LevelEntry& entry = index.levels[l];
    const size_t before = body.size();
    if (l < file.levels.size()) {
      for (const Chunk& chunk : file.levels[l]) {
        if (chunk.tag != kTagSlice) {
          body.insert(body.end(), data + chunk.offset, data + chunk.end());
          continue;
        }
        const std::vector<uint8_t>& payload = payloads[l][chunk.slice];
        write_chunk(body, kTagSlice, chunk.level, chunk.slice, payload);
        index.slice_length[l][chunk.slice] = static_cast<uint32_t>(payload.size());
      }
      entry.length = body.size() - before;
    }
    entry.offset = at;
    at += entry.length;
  }
  std::vector<uint8_t> head(file.head.payload, file.head.payload + file.head.length);
  head[kCoderAt] = static_cast<uint8_t>(to);
  std::vector<uint8_t> out(data, data + kPreambleBytes);
  write_chunk(out, kTagIndex, 0, kNoSlice, write_index(index));
  write_chunk(out, kTagHead, 0, kNoSlice, head);
  out.insert(out.end(), data + file.head.end(), data + file.index.levels[0].offset);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

StreamHeader read_header_of_any_coder(const Chunk& head) {
  std::vector<uint8_t> bytes(head.payload, head.payload + head.length);
  if (bytes.size() > kCoderAt) bytes[kCoderAt] = static_cast<uint8_t>(SymbolCoder::lanes);
  return read_header(bytes.data(), bytes.size());
}

std::vector<uint8_t> transcode_stream(const uint8_t* data, size_t size, const TranscodeOptions& options,
                                      ForeignCoder& foreign) {
  Container file = read_container(data, size, options.upto);
  StreamHeader header = read_header_of_any_coder(file.head);
  if (coder_of(file.head) == options.to) stream_fail_in("chunk HEAD", "symbols are coded like that already");
  const StreamPlan plan = plan_stream(std::move(file), std::move(header), options.upto);
  const uint64_t symbols = plan.largest * static_cast<uint64_t>(plan.header.values());
  check_memory(walk_memory(plan, 1) + foreign.memory(symbols), options.max_memory, "recoding");
  DecodeOptions limits;
  check_work(walk_work(plan), limits, plan.file.file_bytes);
  const StreamModel model = read_model(plan);

  Payloads payloads(plan.parts.size(), std::vector<std::vector<uint8_t>>(plan.slices()));
  SliceState state;
  SliceScratch scratch(model.header);
  for (size_t slice = 0; slice < plan.slices(); ++slice)
    transcode_slice(plan, model, slice, options.to, foreign, state, scratch, payloads);
  return assemble(data, plan.file, payloads, options.to);
}

}  // namespace gspc

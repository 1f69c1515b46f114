// A stream that comes in pieces, decoded level by level: what earlier levels left is kept, so that no level
// is decoded twice, and of each level only the slices that were chosen are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/stream/byte_store.hpp"
#include "codec/stream/plan.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

class StreamReader {
 public:
  // Of the options all but ideal and reverse count.
  explicit StreamReader(const DecodeOptions& options);
  // For limits that change; upto and symbols must stay.
  DecodeOptions& options() { return options_; }

  // The next bytes of the file, or those from `offset` on. Both throw StreamError once it shows that this is
  // no stream that can be read here.
  void feed(const uint8_t* bytes, size_t size);
  void feed_at(uint64_t offset, const uint8_t* bytes, size_t size);

  // Index and header are known. Nothing else may be asked before, but for wanted(), next_level() and ready().
  bool opened() const { return opened_; }
  const StreamIndex& index() const { return index_; }
  const StreamHeader& header() const { return scene_.header; }
  const StoredFrame& frame() const { return scene_.frame; }

  // Which slices are needed, one flag for each; at first all. More may be chosen later: they then start at
  // level 1, and what they miss comes next.
  void choose(const std::vector<bool>& slices);

  // Levels that all chosen slices have.
  int level() const;
  // The level that comes next; 0: there is none.
  int next_level() const;
  // What has to come for it: the first bytes that are missing, as many as lie side by side. Size 0: none.
  ByteRange wanted() const;
  bool ready() const { return next_level() > 0 && opened_ && wanted().size == 0; }

  // An error after which nothing more can be decoded.
  bool broken() const { return !broken_.empty(); }
  // Whether there is something for scene().
  bool holds_scene() const { return model_ != nullptr; }

  // Decodes the next level of the chosen slices, or with `part` those of them whose bytes are there. Throws
  // StreamError. Where a checksum does not hold, the bytes are forgotten and may come again; after other
  // errors nothing more can be decoded.
  void advance(bool part = false);

  // What is decoded: anchors of the chosen slices. The hash is that of a whole decoder when all slices are.
  DecodedStream scene() const;

  // Where a slice's chunk of a level lies, if the levels hold nothing but the chunks of this version; size 0:
  // the level lacks the slice.
  ByteRange slice_range(int level, size_t slice) const;

 private:
  struct Slice {
    bool chosen = true;
    int passed = 0;  // levels that are through, those that lack the slice included
    int level = 0;   // the last one that held it
    SliceState state;
  };
  struct LevelState {
    bool parameters = false;     // they are read
    bool plain = true;           // chunks lie as slice_range says, until it shows that they do not
    std::vector<int64_t> fresh;  // anchors that each slice brings; -1: not known yet
  };
  struct Item {  // a slice to decode
    Chunk chunk;
    SliceParts parts;
  };

  void open();
  void check_usable() const;
  bool pending(size_t slice, int level) const;
  ByteRange level_range(int level) const;
  ByteRange parameter_range(int level) const;
  void check_layout(int level);
  std::vector<ByteRange> needed(int level) const;
  std::vector<Chunk> chunks_in(ByteRange range);
  std::vector<Chunk> level_chunks(int level, bool part);
  void read_parameters(const std::vector<Chunk>& chunks, int level);
  void check_anchors(int level) const;
  void check_need(const std::vector<Item>& items, int level, size_t workers);
  void decode(const std::vector<Item>& items, int level, size_t workers);

  DecodeOptions options_;
  ByteStore store_;
  uint64_t fed_ = 0;   // where feed() goes on
  uint64_t work_ = 0;  // so far
  bool opened_ = false;
  std::string broken_;  // the error after which nothing can be decoded
  StreamIndex index_;
  uint64_t file_bytes_ = 0;
  DecodedStream scene_;  // all but the anchors
  Networks networks_;    // of the levels read so far
  Stages stages_;        // likewise
  std::unique_ptr<StreamModel> model_;
  std::vector<LevelState> levels_;
  std::vector<Slice> slices_;
};

}  // namespace gspc

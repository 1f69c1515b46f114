// From the states of slices to the arrays of a scene.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/stream/plan.hpp"
#include "codec/stream/slice.hpp"
#include "codec/stream/stream.hpp"

namespace gspc {

// Bytes of a decoded scene, for each anchor.
uint64_t scene_bytes(const StreamHeader& header, bool symbols);

// Arrays for out.count anchors that slices are stored into.
void allocate_scene(DecodedStream& out, bool symbols);

// The anchors of a slice, which has `level`, as rows from `first` on: floats, or integers if `symbols`.
void store_slice(DecodedStream& out, const StreamModel& model, const SliceState& state, int level,
                 SliceScratch& scratch, size_t first, bool symbols);

// Cameras, frame, swell and metadata, from the chunks before level 1.
void read_surroundings(const StreamChunks& chunks, DecodedStream& out);
// The heads, from a chunk of level 1.
void read_head_layers(const StreamChunks& chunks, DecodedStream& out);

}  // namespace gspc

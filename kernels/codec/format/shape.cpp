#include "codec/format/shape.hpp"

namespace gspc {

GridSpec StreamShape::context_grid() const {
  GridSpec part = grid;
  part.planes.resize(grid.planes.size() - static_cast<size_t>(pool.planes));
  return part;
}

GridSpec StreamShape::pool_grid() const {
  GridSpec part = grid;
  if (pool.planes > 0) part.planes.assign(grid.planes.end() - pool.planes, grid.planes.end());
  return part;
}

uint64_t StreamShape::pool_grid_start() const { return pool.planes > 0 ? grid_entries(context_grid()) : 0; }

bool StreamShape::holds_levels() const {
  return std::all_of(attributes.begin(), attributes.end(),
                     [](const Attribute& a) { return !a.wants_network() || a.hidden > 0; });
}

namespace {

constexpr char kHiddenError[] = "hidden layers must have 1 to 512 units";

bool hidden_ok(int n, int least) { return n >= least && n <= kMaxHidden; }

const char* sizes_error(const StreamShape& s) {
  if (s.features() < (s.predictive() ? 0 : 1) || s.features() > kMaxFeatures)
    return "features per anchor must be 1 to 256, or 0 with a pool";
  if (s[kOffsets].values % 3 != 0 || s.offsets() < 1 || s.offsets() > kMaxOffsets)
    return "offsets per anchor must be 1 to 32";
  if (s.scales() != 1 && s.scales() != 6) return "scaling must have 1 or 6 values";
  if (!hidden_ok(s.steps_hidden, 1) || !hidden_ok(s.trunk_hidden, 1) || !hidden_ok(s.heads_hidden, 1))
    return kHiddenError;
  return s.grid.planes.empty() ? "the context grid has no planes" : nullptr;
}

const char* trits_error(const StreamShape& s) {
  bool any = false;
  for (const Attribute& a : s.attributes) {
    if (a.refined_until < 0 || a.refined_until > kMaxLevels) return "no such last refined level";
    if (!hidden_ok(a.hidden, 0)) return kHiddenError;
    if (a.hidden > 0 && !a.wants_network()) return "there is a trit network for what is not refined by one";
    any = any || a.hidden > 0;
  }
  return any && !s.holds_levels() ? "one of the trit networks is missing" : nullptr;
}

const char* groups_error(const StreamShape& s) {
  if (s.groups.count == 0)
    return s.groups.hidden == 0 ? nullptr : "hidden units of groups of features, but no groups";
  if (s.groups.count < 2 || s.groups.count > kMaxGroups || s.groups.count > s.features())
    return "groups of features must be 0 or 2 to 8 and at most the features";
  return hidden_ok(s.groups.hidden, 1) ? nullptr : kHiddenError;
}

const char* pool_error(const StreamShape& s) {
  if (s.pool.features < 0 || s.pool.features > kMaxPool) return "pool features must be 0 to 256";
  if (!s.predictive())
    return s.pool.hidden == 0 && s.pool.planes == 0 && s.residual_hidden == 0
               ? nullptr
               : "parts of a pool, but no pool features";
  if (!hidden_ok(s.pool.hidden, 1) || !hidden_ok(s.residual_hidden, 0)) return kHiddenError;
  if (s.residual_hidden > 0 && s.features() == 0) return "a residual decoder, but no residual features";
  if (s.pool.planes < 0 || s.pool.planes >= static_cast<int>(s.grid.planes.size()))
    return "the pool must leave a plane of the grid to the contexts";
  return nullptr;
}

}  // namespace

const char* shape_error(const StreamShape& shape) {
  for (const auto check : {sizes_error, trits_error, groups_error, pool_error})
    if (const char* error = check(shape)) return error;
  return grid_spec_error(shape.grid);
}

}  // namespace gspc

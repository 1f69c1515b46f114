// The walk over the octree, written once for both directions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec/positions/positions.hpp"
#include "codec/positions/positions_geometry.hpp"
#include "codec/positions/positions_model.hpp"
#include "codec/positions/positions_node.hpp"

namespace gspc::positions {

template <class Coder>
class Walk {
 public:
  Walk(Coder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits, size_t n_fresh)
      : coder_(coder), known_(known), fresh_(fresh), interval_(interval), bits_(bits), n_fresh_(n_fresh) {}

  bool run(std::vector<uint64_t>& out) {
    if (n_fresh_ == 0) return true;
    if (interval_.low >= interval_.high || known_.size + n_fresh_ > kMostKeys) return false;
    models_ = std::make_unique<Models>(initial_models());
    tune_begin(models_.get());
    nodes_.push_back(
        {0, 0, static_cast<uint32_t>(known_.size), 0, static_cast<uint32_t>(fresh_.size), 0, 0, 0, 0, 0});
    shapes_.push_back({0, 0, 0, static_cast<uint8_t>(n_fresh_ > 1 ? 2 : 1), 0});
    singles_ = n_fresh_ == 1;
    for (int depth = 0; depth < bits_; ++depth) {
      left_ = bits_ - depth;
      shift_ = 3 * (left_ - 1);
      lattice_ = left_ <= 4 ? left_ : 0;
      for (Node& node : nodes_) {
        if (left_ > 4) node.zeros = 0;
        if (left_ == 4) node.zeros = 2;
        if (left_ == 2 && node.zeros == 0) node.zeros = 1;
        // A known key has that place already.
        if (node.known0 < node.known1 && known_[node.known0] == node.prefix << (3 * left_)) node.zeros = 0;
      }
      if (!code_level() || !next_level() || coder_.overrun()) return false;
    }
    tune_end(models_.get());
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (shapes_[i].fresh) keys_.push_back(nodes_[i].prefix);
    if (keys_.size() != n_fresh_) return false;
    std::sort(keys_.begin(), keys_.end());
    out.insert(out.end(), keys_.begin(), keys_.end());
    return true;
  }

 private:
  int digit(uint64_t key) const { return static_cast<int>(key >> shift_ & 7); }

  bool code_level() {
    uint64_t multis = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      multis += shapes_[i].fresh == 2;
      int mask = 0;
      for (uint32_t k = nodes_[i].known0; k < nodes_[i].known1; ++k) mask |= 1 << digit(known_[k]);
      shapes_[i].occupied = static_cast<uint8_t>(mask);
    }
    if (multis > 0) {
      // Class of the mean number of fresh keys in nodes with two or more, in quarters.
      static const uint64_t kFrom[7] = {9, 10, 11, 13, 17, 26, 50};
      stage_ =
          static_cast<int>(std::upper_bound(kFrom, kFrom + 7, (n_fresh_ - singles_) * 4 / multis) - kFrom);
    }
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      Shape& shape = shapes_[i];
      if (!shape.fresh) continue;
      bool good;
      if (shape.fresh == 2) {
        look_around<true>(i, node);
        good = code_children(node, shape);
      } else if (node.link_count > 0 || node.known0 < node.known1 || !inside(node)) {
        look_around<false>(i, node);
        good = code_side(node, shape);
      } else {
        code_rest(node, shape);
        good = true;
      }
      if (!good) return false;
    }
    return true;
  }

  bool inside(const Node& node) const {
    const int below = 3 * left_;
    return node.prefix << below >= interval_.low && (node.prefix + 1) << below <= interval_.high;
  }

  // Sums up what the neighbors give to the children: those already coded, or without fresh keys, are fully
  // known.
  template <bool WithMany>
  void look_around(uint32_t self, const Node& node) {
    uint64_t score = 0, many = 0, face = 0;
    const uint32_t* links = links_.data() + node.links;
    for (int i = 0; i < node.link_count; ++i) {
      const uint32_t n = links[i] & kLinkMask, t = links[i] >> kLinkBits;
      const Shape& other = shapes_[n];
      const bool coded = n < self || !other.fresh;
      const Geometry::Row& row = (coded ? kGeometry.coded : kGeometry.expected)[t][other.occupied];
      score += row.score;
      face |= row.face;
      if (WithMany && coded) many += kGeometry.coded[t][other.many].score;
    }
    score_ = score;
    many_ = many;
    face_ = face;
    around_ = node.link_count;
  }

  int score(int c) const { return static_cast<int>(score_ >> (8 * c) & 255); }

  // Children of the node that may hold fresh keys.
  int allowed(const Node& node) const {
    int mask = 255;
    const int up = shift_ + 3;
    if (node.prefix == interval_.low >> up) mask &= 255 << digit(interval_.low);
    if (node.prefix == (interval_.high - 1) >> up) mask &= (2 << digit(interval_.high - 1)) - 1;
    if (shift_ == 0)
      for (uint32_t k = node.known0; k < node.known1; ++k) mask &= ~(1 << digit(known_[k]));
    return mask;
  }

  // Which children of a node with two fresh keys or more hold fresh keys.
  bool code_children(Node& node, Shape& shape) {
    Models& m = *models_;
    const int may = allowed(node), need = shift_ == 0 ? 2 : 1;
    const bool has_known = node.known0 < node.known1, any_known = known_.size > 0;
    uint32_t known_count[8] = {0};
    for (uint32_t k = node.known0; k < node.known1; ++k) ++known_count[digit(known_[k])];
    int truth = 0, truth_many = 0;
    for (uint32_t f = node.fresh0; f < node.fresh1; ++f) {
      const int one = 1 << digit(fresh_[f]);
      truth_many |= truth & one;
      truth |= one;
    }
    const int around = kClasses.around8[around_];
    const int siblings = node.siblings > 4 ? 3 : node.siblings > 2 ? 2 : node.siblings > 1;
    int mask = 0, count = 0;
    for (int c = 0; c < 8; ++c) {
      if (!(may >> c & 1)) continue;
      const int choices = ones(may >> c);
      if (choices < need - count) return false;
      int bit = 1;
      if (choices > need - count) {
        const int q = kClasses.score16[score(c)];
        const int face = static_cast<int>(face_ >> (8 * c) & 63);
        const int before = count > 3 ? 3 : count;
        const int inner = ones(mask & (1 << (c ^ 1) | 1 << (c ^ 2) | 1 << (c ^ 4)));
        const int k = !any_known ? 0 : !has_known ? 1 : known_count[c] == 0 ? 2 : known_count[c] == 1 ? 3 : 4;
        Slot* const slots[6] = {&m.slots.child_tree[stage_][1 << c | mask],
                                &m.slots.child_face[face][c][inner],
                                &m.slots.child_score[q][stage_][before][c],
                                &m.slots.child_around[around][count > 4 ? 4 : count][c][siblings],
                                &m.slots.child_lattice[lattice_][node.zeros][c][count > 0][q >> 2],
                                &m.slots.child_known[k][c][before][q]};
        bit =
            mixed_bit(coder_, slots, m.weights.child[before | (around_ > 3) << 2][any_known], truth >> c & 1);
      }
      mask |= bit << c;
      count += bit;
    }
    if (count < need) return false;
    const int many = shift_ == 0  ? 0
                     : count == 1 ? mask
                                  : code_many(node, mask, count, truth_many, known_count);
    if (shift_ > 0) singles_ += ones(mask & ~many);
    finish(node, shape, mask, many);
    return true;
  }

  // Which of the `count` children in `mask` hold two fresh keys or more.
  int code_many(const Node& node, int mask, int count, int truth, const uint32_t (&known_count)[8]) {
    Models& m = *models_;
    int many = 0, seen = 0;
    for (int rest = mask; rest; rest &= rest - 1) {
      const int c = __builtin_ctz(rest);
      const int q = kClasses.score16[score(c)];
      const uint32_t near = known_count[c];
      const int k = known_.size == 0 ? 0 : near < 3 ? 1 + static_cast<int>(near) : near < 6 ? 4 : 5;
      Slot* const slots[4] = {
          &m.slots.many_siblings[stage_][count - 1][seen > 2 ? 2 : seen],
          &m.slots.many_score[q][around_ > 15 ? 15 : around_][count > 2],
          &m.slots.many_near[kClasses.score8[many_ >> (8 * c) & 255]][kClasses.score8[score(c)]][stage_],
          &m.slots.many_known[k][lattice_][c == 0 ? node.zeros : 0]};
      const int bit = mixed_bit(coder_, slots, m.weights.many[count - 1], truth >> c & 1);
      many |= bit << c;
      seen += bit;
    }
    return many;
  }

  static void finish(Node& node, Shape& shape, int mask, int many) {
    shape.occupied = static_cast<uint8_t>(shape.occupied | mask);
    shape.many = static_cast<uint8_t>(many);
    node.here = static_cast<uint8_t>(mask);
  }

  // The child of a node that holds one fresh key: its half along z, y, x.
  bool code_side(Node& node, Shape& shape) {
    static const uint8_t kUpper[3] = {0xaa, 0xcc, 0xf0};
    static const uint64_t kUpperBytes[3] = {0xff00ff00ff00ff00ull, 0xffff0000ffff0000ull,
                                            0xffffffff00000000ull};
    Models& m = *models_;
    const int may = allowed(node);
    if (may == 0) return false;
    const int truth = node.fresh0 < node.fresh1 ? digit(fresh_[node.fresh0]) : 0;
    const bool has_known = node.known0 < node.known1;
    const int scale = has_known ? (left_ > 4 ? 4 : left_ - 1) : 0;
    const int around = around_ > 7 ? 7 : around_;
    int c = 0, candidates = 255, path = 1;
    uint64_t bytes = ~uint64_t{0};
    for (int axis = 2; axis >= 0; --axis) {
      const int high = candidates & kUpper[axis], low = candidates & ~kUpper[axis];
      const uint64_t high_bytes = bytes & kUpperBytes[axis], low_bytes = bytes & ~kUpperBytes[axis];
      int bit = (may & high) != 0;
      if (bit && (may & low)) {
        int keys[2] = {0, 0};
        if (has_known)
          for (uint32_t k = node.known0; k < node.known1; ++k) {
            keys[0] += low >> digit(known_[k]) & 1;
            keys[1] += high >> digit(known_[k]) & 1;
          }
        const uint64_t states = face_ >> (2 * axis) & 0x0303030303030303ull;
        Slot* const slots[4] = {
            &m.slots.side_score[axis][kClasses.score8[byte_sum(score_ & low_bytes) >> axis]]
                               [kClasses.score8[byte_sum(score_ & high_bytes) >> axis]],
            &m.slots.side_face[axis][greatest(states & low_bytes)][greatest(states & high_bytes)][around],
            &m.slots.side_lattice[lattice_][node.zeros][path],
            &m.slots.side_known[std::min(keys[0], 3)][std::min(keys[1], 3)][axis][scale]};
        bit = mixed_bit(coder_, slots, m.weights.side[axis][lattice_ > 0], truth >> axis & 1);
      }
      c |= bit << axis;
      path = path << 1 | bit;
      candidates = bit ? high : low;
      bytes = bit ? high_bytes : low_bytes;
    }
    finish(node, shape, 1 << c, 0);
    return true;
  }

  // A lone fresh key with nothing near: all digits left. Within the last four levels it is first said whether
  // the key sits on the lattice of 16 voxels, then of 4; what an answer rules out is not given a code.
  void code_rest(const Node& node, Shape& shape) {
    const uint64_t truth = node.fresh0 < node.fresh1 ? fresh_[node.fresh0] : 0;
    uint64_t key = node.prefix;
    int level = left_, zeros = node.zeros;
    if (level > 4) {
      key = code_digits(key, truth, 3 * (level - 4), 12);
      level = 4;
      zeros = 2;
    }
    Slot(&slots)[2] = models_->slots.rest_zero[level - 1];
    const int digits = 3 * level, high = digits > 6 ? digits - 6 : 0, low = digits - high;
    const uint32_t tail = static_cast<uint32_t>(truth & ((1u << digits) - 1)),
                   below = tail & ((1u << low) - 1);
    if (zeros == 2 && slot_bit(coder_, slots[0], tail == 0)) {
      key <<= digits;
    } else if (high == 0 && zeros == 0) {
      key = code_digits(key, truth, digits, 0);
    } else if ((high > 0 || zeros == 1) && slot_bit(coder_, slots[1], below == 0)) {
      key = (zeros == 2 ? key << high | code_nonzero(tail >> low, high) : code_digits(key, truth, high, low))
            << low;
    } else {
      key = code_digits(key, truth, high, low);
      key = key << low | code_nonzero(below, low);
    }
    keys_.push_back(key);
    shape.fresh = 3;
  }

  // The next n binary digits of a key, above the lowest `below` ones.
  uint64_t code_digits(uint64_t key, uint64_t truth, int n, int below) {
    while (n > 0) {
      const int part = std::min(n, 16);
      n -= part;
      key = key << part | coder_.raw(static_cast<uint32_t>(truth >> (below + n)) & ((1u << part) - 1), part);
    }
    return key;
  }

  // n binary digits that are not all zero.
  uint32_t code_nonzero(uint32_t value, int n) { return coder_.uniform(value - 1, (1u << n) - 1) + 1; }

  bool next_level() {
    size_t children = 0, fresh_children = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Shape& shape = shapes_[i];
      // Known keys matter only next to fresh ones.
      if (shape.fresh == 3 || (!shape.fresh && !shape.touched)) shape.occupied = 0;
      shape.first = static_cast<uint32_t>(children);
      children += ones(shape.occupied);
      if (shape.occupied) fresh_children += ones(nodes_[i].here);
    }
    if (fresh_children + keys_.size() > n_fresh_) return false;
    next_.resize(children);
    next_shapes_.resize(children);
    size_t at = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i];
      const Shape shape = shapes_[i];
      uint32_t k = node.known0, f = node.fresh0;
      for (int rest = shape.occupied; rest; rest &= rest - 1) {
        const int c = __builtin_ctz(rest);
        const uint64_t prefix = node.prefix << 3 | static_cast<uint64_t>(c), end = (prefix + 1) << shift_;
        const uint32_t k0 = k, f0 = f;
        while (k < node.known1 && known_[k] < end) ++k;
        while (f < node.fresh1 && fresh_[f] < end) ++f;
        next_[at] = {prefix,
                     k0,
                     k,
                     f0,
                     f,
                     0,
                     0,
                     static_cast<uint8_t>(c == 0 ? node.zeros : 0),
                     static_cast<uint8_t>(ones(shape.occupied)),
                     0};
        next_shapes_[at++] = {0, 0, 0, static_cast<uint8_t>((node.here >> c & 1) + (shape.many >> c & 1)), 0};
      }
    }
    if (shift_ > 0) link(fresh_children);
    nodes_.swap(next_);
    shapes_.swap(next_shapes_);
    return true;
  }

  // Lists the neighbors of every child with fresh keys: they are children of the node or of its neighbors.
  void link(size_t fresh_children) {
    next_links_.resize(26 * fresh_children);
    uint32_t used = 0;
    const bool mark = known_.size > 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i];
      const Shape& shape = shapes_[i];
      if (!shape.fresh || !shape.occupied) continue;
      for (int rest = node.here; rest; rest &= rest - 1) {
        const int c = __builtin_ctz(rest);
        const uint32_t begin = used;
        const auto add = [&](uint32_t u, const Shape& parent) {
          for (int r = parent.occupied & kGeometry.facing[c][u]; r; r &= r - 1) {
            const int d = __builtin_ctz(r);
            const uint32_t n = parent.first + static_cast<uint32_t>(ones(parent.occupied & ((1 << d) - 1)));
            next_links_[used++] = static_cast<uint32_t>(kGeometry.direction[c][u][d]) << kLinkBits | n;
            if (mark) next_shapes_[n].touched = 1;
          }
        };
        add(kSelf, shape);
        for (int l = 0; l < node.link_count; ++l) {
          const uint32_t v = links_[node.links + static_cast<uint32_t>(l)];
          add(v >> kLinkBits, shapes_[v & kLinkMask]);
        }
        Node& child = next_[shape.first + static_cast<uint32_t>(ones(shape.occupied & ((1 << c) - 1)))];
        child.links = begin;
        child.link_count = static_cast<uint8_t>(used - begin);
      }
    }
    links_.swap(next_links_);
  }

  Coder& coder_;
  const KeySpan known_, fresh_;
  const KeyInterval interval_;
  const int bits_;
  const size_t n_fresh_;
  std::unique_ptr<Models> models_;
  std::vector<Node> nodes_, next_;
  std::vector<Shape> shapes_, next_shapes_;
  std::vector<uint32_t> links_, next_links_;
  std::vector<uint64_t> keys_;  // coded to the end
  uint64_t singles_ = 0;        // nodes with one fresh key so far
  int left_ = 0, shift_ = 0;    // digits left to code at this level, and where the first is in a key
  int lattice_ = 0, stage_ = 0;
  uint64_t score_ = 0, many_ = 0, face_ = 0;  // around the node being coded
  int around_ = 0;
};

}  // namespace gspc::positions

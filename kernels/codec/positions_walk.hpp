// The walk over the octree, written once for both directions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec/positions.hpp"
#include "codec/positions_geometry.hpp"
#include "codec/positions_model.hpp"

namespace gspc::positions {

// What a node's neighbors look at.
struct Shape {
  uint32_t first = 0;    // its first child in the next level
  uint8_t occupied = 0;  // children that hold keys: known ones at first, all once coded
  uint8_t many = 0;      // children that hold two fresh keys or more
  uint8_t fresh = 0;     // fresh keys: 0, 1, 2 (two or more), 3 (was 1, coded to the end)
  uint8_t touched = 0;   // next to a node with fresh keys
};

struct Node {
  uint64_t prefix = 0;
  uint32_t known0 = 0, known1 = 0;  // its known keys
  uint32_t fresh0 = 0, fresh1 = 0;  // its fresh keys, when encoding
  uint32_t links = 0;               // where its neighbors are listed, when it holds fresh keys
  uint8_t link_count = 0;
  uint8_t zeros = 0;     // lattice state
  uint8_t siblings = 0;  // children of its parent
  uint8_t here = 0;      // children with fresh keys
};

inline constexpr int kLinkBits = 27;  // a link is direction << 27 | number of the node

template <class Coder>
class Walk {
 public:
  Walk(Coder& coder, KeySpan known, KeySpan fresh, KeyInterval interval, int bits, size_t n_fresh)
      : coder_(coder), known_(known), fresh_(fresh), interval_(interval), bits_(bits), n_fresh_(n_fresh),
        models_(std::make_unique<Models>(initial_models())) {}

  bool run(std::vector<uint64_t>& out) {
    if (n_fresh_ == 0) return true;
    if (interval_.low >= interval_.high) return false;
    tune_begin(models_.get());
    start();
    for (depth_ = 0; depth_ < bits_; ++depth_) {
      shift_ = 3 * (bits_ - 1 - depth_);
      if (!code_level()) return false;
      if (!next_level()) return false;
    }
    tune_end(models_.get());
    if (coder_.overrun()) return false;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (shapes_[i].fresh) keys_.push_back(nodes_[i].prefix);
    if (keys_.size() != n_fresh_) return false;
    std::sort(keys_.begin(), keys_.end());
    out.insert(out.end(), keys_.begin(), keys_.end());
    return true;
  }

 private:
  static int ones(int mask) { return kGeometry.ones[mask & 255]; }

  void start() {
    nodes_.resize(1);
    shapes_.resize(1);
    Node& root = nodes_[0];
    root.known1 = static_cast<uint32_t>(known_.size);
    root.fresh1 = static_cast<uint32_t>(fresh_.size);
    shapes_[0].fresh = n_fresh_ > 1 ? 2 : 1;
    singles_ = n_fresh_ == 1;
  }

  static int digit(uint64_t key, int shift) { return static_cast<int>(key >> shift & 7); }

  // Children of the node that may hold fresh keys.
  int allowed(const Node& node) const {
    int mask = 255;
    const int up = shift_ + 3;
    if (node.prefix == interval_.low >> up) mask &= 255 << digit(interval_.low, shift_);
    if (node.prefix == (interval_.high - 1) >> up) mask &= (2 << digit(interval_.high - 1, shift_)) - 1;
    if (shift_ == 0)
      for (uint32_t k = node.known0; k < node.known1; ++k) mask &= ~(1 << digit(known_[k], 0));
    return mask;
  }

  bool code_level() {
    uint64_t multis = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i];
      multis += shapes_[i].fresh == 2;
      int mask = 0;
      for (uint32_t k = node.known0; k < node.known1; ++k) mask |= 1 << digit(known_[k], shift_);
      shapes_[i].occupied = static_cast<uint8_t>(mask);
    }
    if (multis > 0) {
      const uint64_t quarters = (n_fresh_ - singles_) * 4 / multis;  // mean number of keys, in quarters
      stage_ = quarters < 9 ? 0 : quarters < 10 ? 1 : quarters < 11 ? 2 : quarters < 13 ? 3 : quarters < 17 ? 4 : quarters < 26 ? 5 : quarters < 50 ? 6 : 7;
    }
    below_ = bits_ - depth_;  // digits left
    lattice_ = below_ <= 4 ? below_ : 0;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      Shape& shape = shapes_[i];
      if (!shape.fresh) continue;
      const int may = allowed(node);
      if (shape.fresh == 2) {
        look_around(i, node);
        if (!code_children(node, shape, may)) return false;
      } else if (node.link_count == 0 && node.known0 == node.known1) {
        if (!code_rest(node)) return false;
        shape.fresh = 3;
      } else {
        look_around(i, node);
        if (!code_side(node, shape, may)) return false;
      }
    }
    return true;
  }

  void look_around(uint32_t self, const Node& node) {
    uint64_t score = 0, many = 0, face = 0;
    const uint32_t* links = links_.data() + node.links;
    for (int i = 0; i < node.link_count; ++i) {
      const uint32_t n = links[i] & ((1u << kLinkBits) - 1), t = links[i] >> kLinkBits;
      const Shape& other = shapes_[n];
      if (n < self || !other.fresh) {
        score += kGeometry.coded[t][other.occupied];
        face |= kGeometry.face_coded[t][other.occupied];
        many += kGeometry.coded[t][other.many];
      } else {
        score += kGeometry.expected[t][other.occupied];
        face |= kGeometry.face_expected[t][other.occupied];
      }
    }
    score_ = score;
    many_ = many;
    face_ = face;
    around_ = node.link_count;
  }

  int score(int c) const { return static_cast<int>(score_ >> (8 * c) & 255); }

  // Digits of the last four (two) levels all zero so far: the key may sit on the lattice of 16 (4) voxels.
  static int zeros(const Node& node) { return node.zeros; }

  bool code_children(Node& node, Shape& shape, int may) {
    const int need = shift_ == 0 ? 2 : 1;
    int mask = 0, count = 0;
    uint32_t known_count[8] = {0};
    const bool has_known = node.known1 > node.known0;
    if (has_known)
      for (uint32_t k = node.known0; k < node.known1; ++k) ++known_count[digit(known_[k], shift_)];
    int truth = 0;
    truth_many_ = 0;
    for (uint32_t f = node.fresh0; f < node.fresh1; ++f) {
      const int one = 1 << digit(fresh_[f], shift_);
      truth_many_ |= truth & one;
      truth |= one;
    }
    const int qa = kClasses.around8[around_], sib = node.siblings > 4 ? 3 : node.siblings > 2 ? 2 : node.siblings > 1;
    for (int c = 0; c < 8; ++c) {
      if (!(may >> c & 1)) continue;
      if (ones(may >> c) < need - count) return false;
      int bit = 1;
      if (ones(may >> c) > need - count) {
        const int q = kClasses.score16[score(c)];
        const int face = static_cast<int>(face_ >> (8 * c) & 63);
        const int before = count > 3 ? 3 : count;
        const int inner = ones(mask & ((1 << (c ^ 1)) | (1 << (c ^ 2)) | (1 << (c ^ 4))));
        const int k = known_.size == 0 ? 0 : !has_known ? 1 : known_count[c] == 0 ? 2 : known_count[c] == 1 ? 3 : 4;
        Slot* const slots[6] = {&models_->slots.child_tree[stage_][1 << c | mask], &models_->slots.child_face[face][c][inner], &models_->slots.child_score[q][stage_][before][c],
                                &models_->slots.child_around[qa][count > 4 ? 4 : count][c][sib],
                                &models_->slots.child_lattice[lattice_][zeros(node)][c][count > 0][q >> 2], &models_->slots.child_known[k][c][before][q]};
        bit = mixed_bit(coder_, slots, models_->weights.child[c][known_.size > 0], truth >> c & 1);
      }
      if (bit) {
        mask |= 1 << c;
        ++count;
      }
    }
    if (count < need) return false;
    return code_flags(node, shape, mask, count, known_count);
  }

  bool code_flags(Node& node, Shape& shape, int mask, int count, const uint32_t* known_count) {
    int many = 0;
    if (shift_ > 0) {
      if (count == 1) {
        many = mask;
      } else {
        int seen = 0;
        for (int c = 0; c < 8; ++c) {
          if (!(mask >> c & 1)) continue;
          int bit;
          bit = truth_many_ >> c & 1;
            const int q = kClasses.score16[score(c)], qm = kClasses.score8[many_ >> (8 * c) & 255];
          const uint32_t kc = known_count[c];
          const int k = known_.size == 0 ? 0 : kc < 3 ? 1 + static_cast<int>(kc) : kc < 6 ? 4 : 5;
          const int z = zeros(node);
          Slot* const slots[4] = {&models_->slots.many_siblings[stage_][count - 1][seen > 2 ? 2 : seen],
                                  &models_->slots.many_score[q][around_ > 15 ? 15 : around_][count > 2],
                                  &models_->slots.many_near[qm][kClasses.score8[score(c)]][stage_], &models_->slots.many_known[k][lattice_][c == 0 ? z : 0]};
          bit = mixed_bit(coder_, slots, models_->weights.many[count - 1], bit);
          many |= bit << c;
          seen += bit;
        }
      }
    }
    singles_ += shift_ > 0 ? ones(mask & ~many) : 0;
    occupied_fresh(node, shape, mask, many);
    return true;
  }

  static void occupied_fresh(Node& node, Shape& shape, int mask, int many) {
    shape.occupied |= static_cast<uint8_t>(mask);
    shape.many = static_cast<uint8_t>(many);
    node.here = static_cast<uint8_t>(mask);
  }

  bool code_side(Node& node, Shape& shape, int may) {
    if (!may) return false;
    const int truth = node.fresh1 > node.fresh0 ? digit(fresh_[node.fresh0], shift_) : 0;
    int left = may, c = 0;
    int known_count[8] = {0};
    const bool has_known = node.known1 > node.known0;
    for (uint32_t k = node.known0; k < node.known1; ++k) ++known_count[digit(known_[k], shift_)];
    static const uint8_t upper[3] = {0xaa, 0xcc, 0xf0};
    int candidates = 255;
    for (int axis = 2; axis >= 0; --axis) {
      const int high = candidates & upper[axis], low = candidates & ~upper[axis];
      int bit = truth >> axis & 1;
      if (!(left & high)) {
        bit = 0;
      } else if (!(left & low)) {
        bit = 1;
      } else {
        int sum[2] = {0, 0}, keys[2] = {0, 0};
        for (int o = 0; o < 8; ++o) {
          if (!(candidates >> o & 1)) continue;
          sum[o >> axis & 1] += score(o);
          keys[o >> axis & 1] += known_count[o];
        }
        int state[2] = {0, 0};
        for (int s = 0; s < 2; ++s)
          for (int o = 0; o < 8; ++o)
            if ((candidates >> o & 1) && (o >> axis & 1) == s)
              state[s] = std::max(state[s], static_cast<int>(face_ >> (8 * o + 2 * axis) & 3));
        const int scale = axis;
        const int q0 = kClasses.score8[sum[0] >> scale], q1 = kClasses.score8[sum[1] >> scale];
        const int tree = axis == 2 ? 1 : axis == 1 ? 2 | (c >> 2) : 4 | (c >> 1);
        const int k0 = std::min(keys[0], 3), k1 = std::min(keys[1], 3);
        Slot* const slots[4] = {&models_->slots.side_score[axis][q0][q1], &models_->slots.side_face[axis][state[0]][state[1]][around_ > 7 ? 7 : around_],
                                &models_->slots.side_lattice[lattice_][zeros(node)][tree],
                                &models_->slots.side_known[k0][k1][axis][has_known ? (below_ > 4 ? 4 : below_ - 1) : 0]};
        bit = mixed_bit(coder_, slots, models_->weights.side[axis][lattice_ > 0], bit);
      }
      c |= bit << axis;
      candidates = bit ? high : low;
      left &= candidates;
    }
    occupied_fresh(node, shape, 1 << c, 0);
    return true;
  }

  // A lone key with nothing near: its last digits at once.
  bool code_rest(Node& node) {
    uint64_t key = node.prefix;
    const uint64_t truth = node.fresh1 > node.fresh0 ? fresh_[node.fresh0] : 0;
    int z = node.zeros;
    int level = below_;
    if (level > 4) {
      int digits = 3 * (level - 4);
      while (digits > 0) {
        const int part = std::min(digits, 16);
        digits -= part;
        key = key << part | coder_.raw(static_cast<uint32_t>(truth >> (12 + digits) & ((1u << part) - 1)), part);
      }
      level = 4;
    }
    for (; level > 0; --level) {
      int c = 0;
      if (level == 4) z = 2;
      if (level == 2 && z == 0) z = 1;
      for (int axis = 2; axis >= 0; --axis) {
        const int tree = axis == 2 ? 1 : axis == 1 ? 2 | (c >> 2) : 4 | (c >> 1);
        const int bit = slot_bit(coder_, models_->slots.side_lattice[level][z][tree],
                                 static_cast<int>(truth >> (3 * (level - 1) + axis) & 1));
        c |= bit << axis;
      }
      key = key << 3 | c;
      if (c) z = 0;
    }
    if (key < interval_.low || key >= interval_.high) return false;
    keys_.push_back(key);
    return true;
  }

  bool next_level() {
    next_.clear();
    next_shapes_.clear();
    size_t fresh_nodes = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i];
      Shape& shape = shapes_[i];
      shape.first = static_cast<uint32_t>(next_.size());
      if (shape.fresh == 3 || (!shape.fresh && !shape.touched)) {
        shape.occupied = 0;
        continue;
      }
      uint32_t k = node.known0, f = node.fresh0;
      const int siblings = ones(shape.occupied);
      for (int rest = shape.occupied; rest; rest &= rest - 1) {
        const int c = __builtin_ctz(rest);
        Node child;
        Shape child_shape;
        child.prefix = node.prefix << 3 | static_cast<uint64_t>(c);
        const uint64_t end = (child.prefix + 1) << shift_;
        child.known0 = k;
        while (k < node.known1 && known_[k] < end) ++k;
        child.known1 = k;
        child.fresh0 = f;
        while (f < node.fresh1 && fresh_[f] < end) ++f;
        child.fresh1 = f;
        child_shape.fresh = static_cast<uint8_t>((node.here >> c & 1) + (shape.many >> c & 1));
        child.siblings = static_cast<uint8_t>(siblings);
        const int left = below_ - 1;
        child.zeros = left == 4 ? 2 : c == 0 ? node.zeros : 0;
        if (left == 2 && child.zeros == 0) child.zeros = 1;
        if (left > 4) child.zeros = 0;
        fresh_nodes += child_shape.fresh > 0;
        next_.push_back(child);
        next_shapes_.push_back(child_shape);
      }
    }
    if (fresh_nodes + keys_.size() > n_fresh_) return false;
    if (shift_ > 0) link();
    nodes_.swap(next_);
    shapes_.swap(next_shapes_);
    return true;
  }

  void link() {
    next_links_.clear();
    const bool mark = known_.size > 0;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i];
      const Shape& shape = shapes_[i];
      if (!shape.fresh || shape.fresh == 3) continue;
      uint32_t at = shape.first;
      for (int rest = shape.occupied; rest; rest &= rest - 1, ++at) {
        const int c = __builtin_ctz(rest);
        if (!(node.here >> c & 1)) continue;
        uint32_t found[27];
        int count = 0;
        const auto add = [&](uint32_t u, const Shape& parent) {
          for (int r = parent.occupied & kGeometry.facing[c][u]; r; r &= r - 1) {
            const int d = __builtin_ctz(r);
            const uint32_t n = parent.first + ones(parent.occupied & ((1 << d) - 1));
            found[count++] = static_cast<uint32_t>(kGeometry.direction[c][u][d]) << kLinkBits | n;
            if (mark) next_shapes_[n].touched = 1;
          }
        };
        add(kSelf, shape);
        for (int l = 0; l < node.link_count; ++l) {
          const uint32_t v = links_[node.links + l];
          add(v >> kLinkBits, shapes_[v & ((1u << kLinkBits) - 1)]);
        }
        next_[at].links = static_cast<uint32_t>(next_links_.size());
        next_[at].link_count = static_cast<uint8_t>(count);
        next_links_.insert(next_links_.end(), found, found + count);
      }
    }
    links_.swap(next_links_);
  }

  Coder& coder_;
  KeySpan known_, fresh_;
  KeyInterval interval_;
  int bits_;
  size_t n_fresh_;
  std::unique_ptr<Models> models_;
  std::vector<Node> nodes_, next_;
  std::vector<Shape> shapes_, next_shapes_;
  std::vector<uint32_t> links_, next_links_;
  std::vector<uint64_t> keys_;
  uint64_t singles_ = 0;
  uint64_t score_ = 0, many_ = 0, face_ = 0;
  int truth_many_ = 0, around_ = 0, depth_ = 0, shift_ = 0, stage_ = 0, below_ = 0, lattice_ = 0;
};

}  // namespace gspc::positions

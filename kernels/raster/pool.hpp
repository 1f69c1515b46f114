// Large blocks of memory kept between calls: a training step that allocates the same arrays again and again
// pays neither mmap nor page faults. Thread-safe. Contents of a block are undefined.
#pragma once

#include <cstddef>
#include <utility>

namespace gspc {

// 64-byte aligned block of at least `bytes` bytes; throws std::bad_alloc.
void* pool_take(std::size_t bytes);
// Gives a block back (null is fine). Blocks beyond a cap on kept memory go back to the system.
void pool_give(void* block) noexcept;
// Bytes kept for reuse, and how to hand them back to the system.
std::size_t pool_kept_bytes();
void pool_trim() noexcept;

// A typed block of the pool, owned.
template <class T>
class Pooled {
 public:
  Pooled() = default;
  explicit Pooled(std::size_t count) { resize(count); }
  Pooled(Pooled&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Pooled& operator=(Pooled&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Pooled() { pool_give(data_); }
  // Drops the contents.
  void resize(std::size_t count) {
    pool_give(std::exchange(data_, nullptr));
    data_ = static_cast<T*>(pool_take(count * sizeof(T)));
  }
  T* get() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  T* release() { return std::exchange(data_, nullptr); }

 private:
  T* data_ = nullptr;
};

}  // namespace gspc

// Working memory of kernels.
#pragma once

#include <cstddef>
#include <new>

namespace gspc {

// Memory that grows and stays with its thread: fresh pages at every call would cost more than the arithmetic.
class Scratch {
 public:
  ~Scratch() { release(); }
  float* get(size_t floats) {
    if (floats > capacity_) {
      release();
      data_ = static_cast<float*>(::operator new(floats * sizeof(float), std::align_val_t{64}));
      capacity_ = floats;
    }
    return data_;
  }

 private:
  void release() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{64});
    data_ = nullptr;
    capacity_ = 0;
  }
  float* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace gspc

#include "adam/adam.hpp"

#include <algorithm>
#include <cstdint>

#include "common/parallel.hpp"

namespace gspc {

void adam(const std::vector<AdamTensor>& tensors) {
  constexpr size_t kPart = 1 << 14;  // elements per task
  struct Task {
    const AdamTensor* tensor;
    size_t begin;
  };
  std::vector<Task> tasks;
  for (const AdamTensor& tensor : tensors)
    for (size_t begin = 0; begin < tensor.n; begin += kPart) tasks.push_back({&tensor, begin});
  parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const Task task = tasks[static_cast<size_t>(i)];
    GSPC_DISPATCH(adam_part)(*task.tensor, task.begin, std::min(task.tensor->n, task.begin + kPart));
  });
}

}  // namespace gspc

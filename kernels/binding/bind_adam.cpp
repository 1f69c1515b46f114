// gspc._kernels: the optimizer's step; see adam/adam.hpp.
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <vector>

#include "adam/adam.hpp"
#include "binding/arguments.hpp"

void bind_adam(nb::module_& m) {
  using Array = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
  using Constant = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
  m.def(
      "adam",
      [](const std::vector<std::array<Array, 3>>& states, const std::vector<Constant>& grads,
         const std::vector<std::array<float, 5>>& settings) {
        if (grads.size() != states.size() || settings.size() != states.size())
          throw nb::value_error("adam: as many states, gradients and settings expected");
        std::vector<gspc::AdamTensor> tensors;
        for (size_t i = 0; i < states.size(); ++i) {
          const auto& [value, moment, square] = states[i];
          const auto& [step, root, beta1, beta2, epsilon] = settings[i];
          const size_t n = value.size();
          if (moment.size() != n || square.size() != n || grads[i].size() != n)
            throw nb::value_error("adam: value, moment, square and gradient of one size expected");
          tensors.push_back({value.data(), moment.data(), square.data(), grads[i].data(), n, step, root,
                             beta1, beta2, epsilon});
        }
        nb::gil_scoped_release release;
        gspc::adam(tensors);
      },
      exact("states"), "grads"_a, "settings"_a,
      "One step of Adam: updates states (value, moment, square of one size each) by grads; settings: step, "
      "root, beta1, beta2, epsilon each.");
}

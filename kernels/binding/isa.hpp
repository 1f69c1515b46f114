// The functions of both modules that choose the instruction set.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "common/isa.hpp"

inline void bind_isa(nanobind::module_& m) {
  using namespace nanobind::literals;
  m.def(
      "active_isa", [] { return std::string(gspc::isa_name(gspc::active_isa())); },
      "The instruction set in use: base, v3 (AVX2) or v4 (AVX-512).");
  m.def(
      "supported_isa", [] { return std::string(gspc::isa_name(gspc::supported_isa())); },
      "The best instruction set of this processor.");
  m.def(
      "set_isa",
      [](const std::string& name) {
        for (gspc::Isa isa : {gspc::Isa::base, gspc::Isa::v3, gspc::Isa::v4})
          if (name == gspc::isa_name(isa)) return gspc::set_isa(isa);
        throw nanobind::value_error("set_isa: one of base, v3, v4");
      },
      "name"_a, "Uses at most this instruction set. Raises ValueError for other names.");
}

// Instruction-set selection. Sources named *_isa.cpp are compiled once per level with GSPC_ISA_NAMESPACE set
// to isa_base, isa_v3 (AVX2 + FMA) or isa_v4 (AVX-512); the dispatcher picks one at run time through
// active_isa().
#pragma once

namespace gspc {

enum class Isa : int { base = 0, v3 = 1, v4 = 2 };

// Best level this processor runs, lowered by the environment variable GSPC_ISA=base|v3|v4 or by set_isa().
Isa active_isa();

// Best level this processor runs, whatever was asked for.
Isa supported_isa();

// Lowers (or restores) the active level; asking for more than supported_isa() gives supported_isa(). For
// tests and benchmarks.
void set_isa(Isa isa);

const char* isa_name(Isa isa);  // "base", "v3", "v4"

}  // namespace gspc

// Picks one of three per-ISA functions of the same signature: GSPC_DISPATCH(function)(arguments).
#if defined(GSPC_MULTI_ISA)
#define GSPC_DISPATCH(function)                                         \
  (::gspc::active_isa() == ::gspc::Isa::v4   ? ::gspc::isa_v4::function \
   : ::gspc::active_isa() == ::gspc::Isa::v3 ? ::gspc::isa_v3::function \
                                             : ::gspc::isa_base::function)
#define GSPC_DECLARE_ISA(declaration) \
  namespace gspc::isa_base {          \
  declaration                         \
  }                                   \
  namespace gspc::isa_v3 {            \
  declaration                         \
  }                                   \
  namespace gspc::isa_v4 {            \
  declaration                         \
  }
#else
#define GSPC_DISPATCH(function) (::gspc::isa_base::function)
#define GSPC_DECLARE_ISA(declaration) \
  namespace gspc::isa_base {          \
  declaration                         \
  }
#endif

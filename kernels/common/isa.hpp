// Instruction sets: base, v3 (AVX2, FMA) and v4 (AVX-512), named after the x86-64 levels; elsewhere base
// only.
//
// Sources named *_isa.cpp are compiled once per set (kernels/CMakeLists.txt), with GSPC_ISA_NAMESPACE
// (isa_base, isa_v3, isa_v4) to put their functions in and GSPC_ISA_IS_base, _v3 or _v4 defined to ask which
// set it is. Their headers declare them with GSPC_DECLARE_ISA, callers pick one at run time with
// GSPC_DISPATCH.
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

// Picks one of the functions of the same signature: GSPC_DISPATCH(function)(arguments) that of the active
// set, GSPC_DISPATCH_AS(isa, function)(arguments) that of a given one.
#define GSPC_DISPATCH(function) GSPC_DISPATCH_AS(::gspc::active_isa(), function)
#if defined(GSPC_MULTI_ISA)
#define GSPC_DISPATCH_AS(isa, function)                  \
  ((isa) == ::gspc::Isa::v4   ? ::gspc::isa_v4::function \
   : (isa) == ::gspc::Isa::v3 ? ::gspc::isa_v3::function \
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
#define GSPC_DISPATCH_AS(isa, function) (static_cast<void>(isa), ::gspc::isa_base::function)
#define GSPC_DECLARE_ISA(declaration) \
  namespace gspc::isa_base {          \
  declaration                         \
  }
#endif

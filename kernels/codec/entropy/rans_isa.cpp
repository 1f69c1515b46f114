// The lane kernels, once per instruction set. All variants read and write the same bytes.
#if defined(GSPC_ISA_IS_v4)
#include "codec/entropy/rans_avx512.hpp"
#elif defined(GSPC_ISA_IS_v3)
#include "codec/entropy/rans_avx2.hpp"
#else
#include "codec/entropy/rans_scalar.hpp"
#endif

#define FC_DOUBLE 0
#include "../simd/avx512.h"
#include "../kernels/all.h"

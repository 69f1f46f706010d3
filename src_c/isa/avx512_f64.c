#define FC_DOUBLE 1
#include "../simd/avx512.h"
#include "../kernels/all.h"

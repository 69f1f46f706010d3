#define FC_DOUBLE 0
#include "../simd/avx2.h"
#include "../kernels/all.h"

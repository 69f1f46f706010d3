#define FC_DOUBLE 1
#include "../simd/avx2.h"
#include "../kernels/all.h"

#define FC_DOUBLE 0
#include "../simd/neon.h"
#include "../kernels/all.h"

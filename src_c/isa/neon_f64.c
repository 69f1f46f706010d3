#define FC_DOUBLE 1
#include "../simd/neon.h"
#include "../kernels/all.h"

#define FC_DOUBLE 0
#include "../simd/scalar.h"
#include "../kernels/all.h"

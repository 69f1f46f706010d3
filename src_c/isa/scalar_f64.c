#define FC_DOUBLE 1
#include "../simd/scalar.h"
#include "../kernels/all.h"

// Everything that the Tensors module may call.
#include "p4q_float.h"
#include "p4q_gemm.h"
#include "p4q_isa.h"
#include "p4q_pause.h"
#include "p4q_resample.h"
#include "p4q_ticks.h"

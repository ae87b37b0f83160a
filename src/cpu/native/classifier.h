// Xception in evaluation, for Python's ctypes: weights are folded and packed once, nothing is compiled.
#pragma once

#include "shape.h"

#pragma GCC visibility push(default)  // nothing else of the library can be seen from outside
extern "C" {

// Returns a network that XceptionDestroy takes back, or null after a failure, which `error` then tells in one line.
// is_half: activations and products in bfloat16, sums in float32; a failure where XceptionHasHalf() is 0.
// parameters: float32, in the order of the Python network's get_parameters(), moving statistics included: for batch
// norm moving_mean, moving_variance, gamma, beta; a block's skip before its units. They are copied.
void *XceptionCreate(int is_half, int symmetric_pool, xception::Index classes, const float *const *parameters,
                     char *error, xception::Index error_size);

// Writes logits (n, classes); returns 0, or 1 after a failure, which `error` then tells in one line.
// images: bytes (n, height, width, 3), RGB, if is_uint8; else float32 (n, 3, height, width), (value - 127.5) / 127.5.
// n: 1 or more; height and width: 71 or more.
int XceptionRun(void *network, const void *images, int is_uint8, xception::Index n, xception::Index height,
                xception::Index width, float *logits, char *error, xception::Index error_size);

void XceptionDestroy(void *network);

// Whether this processor multiplies bfloat16 faster than float32.
int XceptionHasHalf();

// Number of threads that can run at once: by the cores of the process, and the time that a container gets of them.
int XceptionUsableThreads();

// Has so many threads compute from now on, 1 or more; where it is not called, all that can run at once do.
void XceptionUseThreads(int threads);

// Number of threads that compute.
int XceptionThreads();

// Tries the library: 0 if oneDNN is the version that is known and multiplies as it should, else 1 and why.
int XceptionTry(char *error, xception::Index error_size);
}
#pragma GCC visibility pop

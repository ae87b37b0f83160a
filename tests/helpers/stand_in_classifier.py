"""A library in the place of the network in C++, which tells in its logits what it was given."""

from __future__ import annotations

import subprocess
from pathlib import Path

PARAMETERS = 236
# Logit c of image i is the first value of parameter c, and 1000 x the first value of the image.
_SOURCE = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static int made;
int AreOpen(void) { return made; }
void *XceptionCreate(int is_half, int symmetric, int64_t classes, const float *const *parameters, char *error,
                     int64_t size) {
  float *firsts = malloc(sizeof(float) * (PARAMETERS + 3));
  if (*parameters[0] > 1e9f) { snprintf(error, size, "the weights are too large"); return NULL; }
  for (int i = 0; i < PARAMETERS; ++i) firsts[i] = *parameters[i];
  firsts[PARAMETERS] = is_half; firsts[PARAMETERS + 1] = symmetric; firsts[PARAMETERS + 2] = classes;
  ++made;
  return firsts;
}
int XceptionRun(void *network, const void *images, int is_uint8, int64_t n, int64_t height, int64_t width,
                float *logits, char *error, int64_t size) {
  const float *firsts = network;
  int64_t classes = firsts[PARAMETERS + 2];
  if (height < 71 || width < 71) { snprintf(error, size, "%d x %d is too small", (int)height, (int)width); return 1; }
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = i * height * width * 3;
    float first = is_uint8 ? ((const uint8_t *)images)[at] : ((const float *)images)[at];
    for (int64_t c = 0; c < classes; ++c) logits[i * classes + c] = firsts[c < PARAMETERS + 3 ? c : 0] + 1000 * first;
  }
  return 0;
}
void XceptionDestroy(void *network) { free(network); --made; }
"""


def make_stand_in(folder: Path) -> Path:
    """Return such a library; its classes after those of the parameters tell is_half, symmetric_pool and classes."""
    path = folder / "stand-in.so"
    command = ["cc", "-shared", "-fPIC", f"-DPARAMETERS={PARAMETERS}", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    return path

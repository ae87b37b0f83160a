"""ONNX Runtime as a machine without a GPU has it where onnxruntime-gpu is installed."""

from __future__ import annotations

from types import SimpleNamespace

import onnxruntime

GPU = "CUDAExecutionProvider"


def for_gpus(is_refused: bool) -> SimpleNamespace:
    """Return a stand-in for the module.

    Args:
        is_refused: Whether CUDA refuses, as without a device; else it is passed over, as without its libraries.
    """

    def new_session(path, options, providers, enable_fallback):
        names = [provider[0] if isinstance(provider, tuple) else provider for provider in providers]
        assert not enable_fallback  # that prints on stdout, and goes on with the CPU
        if is_refused and GPU in names:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device\nis detected")
        return onnxruntime.InferenceSession(path, options, providers=[name for name in names if name != GPU])

    return SimpleNamespace(
        get_available_providers=lambda: [GPU, "CPUExecutionProvider"],
        InferenceSession=new_session,
        SessionOptions=onnxruntime.SessionOptions,
    )

"""OpenVINO as far as the project calls it, computed by ONNX Runtime: the package is large and no test downloads it."""

from __future__ import annotations

from types import SimpleNamespace

import onnxruntime

_TYPES = {"tensor(float)": "f32", "tensor(float16)": "f16"}


def stand_in(has_bfloat16: bool = True, asked: list | None = None) -> SimpleNamespace:
    """Return a stand-in for the module.

    Args:
        has_bfloat16: Whether the processor computes in bfloat16.
        asked: Receives the precision that each network is compiled for.
    """

    class Core:
        def read_model(self, path: str) -> str:
            return path

        def compile_model(self, model: str, device: str, settings: dict[str, str]) -> _Compiled:
            assert device == "CPU"
            precision = settings["INFERENCE_PRECISION_HINT"]
            if asked is not None:
                asked.append(precision)
            return _Compiled(model, precision if has_bfloat16 else "f32")

    return SimpleNamespace(Core=Core)


class _Compiled:
    def __init__(self, path: str, precision: str):
        try:
            self._session = onnxruntime.InferenceSession(path)
        except Exception as error:  # as OpenVINO's: several lines, of which the first ones are of its code
            raise RuntimeError(f"Exception from src/core.cpp:97:\nCheck 'x' failed\n{error}") from error
        self._precision = precision
        self.inputs = [
            SimpleNamespace(element_type=_type(_TYPES.get(each.type, each.type)), partial_shape=_Shape(each.shape))
            for each in self._session.get_inputs()
        ]
        self.outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, inputs: list) -> dict:
        names = [each.name for each in self._session.get_inputs()]
        return dict(zip(self.outputs, self._session.run(None, dict(zip(names, inputs, strict=True))), strict=True))

    def get_property(self, name: str) -> SimpleNamespace:
        assert name == "INFERENCE_PRECISION_HINT"
        return _type(self._precision)


class _Shape(list):
    rank = SimpleNamespace(is_static=True)

    def __init__(self, sizes: list):
        super().__init__(
            SimpleNamespace(is_static=isinstance(size, int), get_length=lambda size=size: size) for size in sizes
        )

    def __str__(self) -> str:
        return f"[{','.join(str(each.get_length()) if each.is_static else '?' for each in self)}]"


def _type(name: str) -> SimpleNamespace:
    return SimpleNamespace(get_type_name=lambda: name)

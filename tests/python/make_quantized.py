"""Quantizes some of tests/models with ONNX Runtime's quantize_static, in each of the forms that it writes.

    target/venv/bin/python tests/python/make_quantized.py

The files go to tests/models/quantized and are checked in. Each file's metadata has what ONNX Runtime gives
for the input sin(i / 3), i over the input's values in order: `kiln.test.logits`, a JSON list.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

MODELS = Path(__file__).resolve().parent.parent / "models"
# Name, format, activations, weights, a scale a channel.
FORMS = [
    ("qdq-u8", QuantFormat.QDQ, QuantType.QUInt8, QuantType.QInt8, True),
    ("qdq-s8", QuantFormat.QDQ, QuantType.QInt8, QuantType.QInt8, False),
    ("qlinear-u8", QuantFormat.QOperator, QuantType.QUInt8, QuantType.QInt8, True),
    ("qlinear-u8u8", QuantFormat.QOperator, QuantType.QUInt8, QuantType.QUInt8, False),
]


def sizes(model):
    return [dim.dim_value or 1 for dim in model.graph.input[0].type.tensor_type.shape.dim]


class Noise(CalibrationDataReader):
    def __init__(self, model):
        random = np.random.default_rng(1)
        shape = sizes(model)
        self.inputs = iter([{"input": random.uniform(-1, 1, shape).astype(np.float32)} for _ in range(20)])

    def get_next(self):
        return next(self.inputs, None)


def main():
    folder = MODELS / "quantized"
    folder.mkdir(exist_ok=True)
    for name in ("resnet", "silu"):
        source = MODELS / f"{name}.torchscript.onnx"
        model = onnx.load(source)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        shape = sizes(model)
        with tempfile.TemporaryDirectory() as scratch:
            fixed = Path(scratch) / "float.onnx"
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(fixed)
            onnx.save(model, Path(scratch) / "fixed.onnx")
            ort.InferenceSession(str(Path(scratch) / "fixed.onnx"), options)
            for form, kind, activations, weights, per_channel in FORMS:
                path = folder / f"{name}.{form}.onnx"
                quantize_static(
                    fixed, path, Noise(model), quant_format=kind, activation_type=activations,
                    weight_type=weights, per_channel=per_channel,
                )
                session = ort.InferenceSession(str(path))
                example = np.sin(np.arange(np.prod(shape)) / 3).astype(np.float32).reshape(shape)
                [logits] = session.run(None, {"input": example})
                quantized = onnx.load(path)
                onnx.helper.set_model_props(quantized, {"kiln.test.logits": json.dumps(logits[0].tolist())})
                onnx.save(quantized, path)
                ops = sorted({node.op_type for node in quantized.graph.node})
                print(path.name, path.stat().st_size, "bytes", ops)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""ONNX's own tests of single operators, and those of layers that PyTorch exported, written into a folder.

NAME.onnx, NAME.inputs.npy and NAME.expected.npy for each, and cases.json: what is where. Kiln's models have one input, one
output and a batch of 1, so that the cases are made alike, without changing what an operator computes:
- inputs but the first become constants, as weights are in files of classifiers;
- an axis 0 that is not 1 is a batch, where the operator or layer treats it as one: its parts are inputs of their own;
- vectors that a function of each value takes get an axis 0 in front;
- outputs that nobody needs (masks, indices) are left off;
- operators of integers stand between QuantizeLinear and DequantizeLinear, with the scales of the case.
"""

import argparse
import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case import node as node_cases

MODULES = [
    "add", "averagepool", "batch_normalization", "clip", "concat", "conv", "dequantizelinear", "div", "dropout", "elu", "flatten",
    "gelu", "gemm", "globalaveragepool", "hardsigmoid", "hardswish", "identity", "leakyrelu", "matmul", "maxpool", "mish", "mul",
    "pad", "prelu", "qlinearconv", "qlinearmatmul", "quantizelinear", "reducemean", "relu", "reshape", "resize", "selu",
    "sigmoid", "softmax", "softplus", "softsign", "squeeze", "sub", "swish", "tanh", "transpose", "unsqueeze",
]
EACH_VALUE = {
    "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Softplus",
    "Softsign", "Swish", "Tanh",
}
BATCHED = EACH_VALUE | {
    "Add", "AveragePool", "BatchNormalization", "Conv", "Div", "Dropout", "Flatten", "Gemm", "GlobalAveragePool", "MatMul",
    "MaxPool", "Mul", "PRelu", "QLinearMatMul", "Softmax", "Sub",
}
# PyTorch's tests of layers that are not those of CNN classifiers of pictures or sound.
OTHER_LAYERS = ("Bilinear", "Conv3d", "ConvTranspose", "Embedding", "GLU", "MaxPool3d", "AvgPool3d", "PixelShuffle", "log_softmax")


def names_of(model: onnx.ModelProto) -> list[str]:
    weights = {weight.name for weight in model.graph.initializer}
    return [entry.name for entry in model.graph.input if entry.name not in weights]


def fix(model: onnx.ModelProto, arrays: list, expected: list, layer: bool) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray] | None:
    """The case as a model with one f32 input and output, its inputs and outputs; none if it is about other types."""
    arrays, expected = ([np.asarray(array) if isinstance(array, np.generic) else array for array in of] for of in (arrays, expected))
    everything = [array for array in [*arrays, expected[0]] if array is not None]
    if not all(isinstance(array, np.ndarray) for array in everything) or not arrays:
        return None
    kind = model.graph.node[0].op_type
    integers = kind in ("QLinearConv", "QLinearMatMul", "QuantizeLinear", "DequantizeLinear")
    if arrays[0].dtype != np.float32 and not integers:
        return None
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.ir_version = max(model.ir_version, 8)
    graph = model.graph
    x, y = names_of(model)[0], graph.output[0].name
    del graph.output[1:]
    if graph.node[0].op_type in ("MaxPool", "Dropout", "BatchNormalization"):
        del graph.node[0].output[1:]
    for name, array in list(zip(names_of(model), arrays))[1:]:
        graph.initializer.append(numpy_helper.from_array(array, name))
    inputs, outputs = arrays[0], expected[0]
    if integers:
        x, y, inputs, outputs = between_floats(model, x, y, arrays, outputs)
        if inputs is None:
            return None
    rank = inputs.ndim
    if kind in EACH_VALUE and rank == 1:
        inputs, outputs = inputs[None], outputs[None]
    batch = inputs.shape[0] if inputs.ndim else 1
    if batch != 1 and (layer or kind in BATCHED) and outputs.ndim and outputs.shape[0] == batch:
        inputs, outputs = inputs[:, None], outputs[:, None]
    else:
        inputs, outputs = inputs[None], outputs[None]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, inputs.shape[1:]))
    graph.output.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, outputs.shape[1:]))
    return model, inputs, outputs


def between_floats(model: onnx.ModelProto, x: str, y: str, arrays: list, outputs):
    """Puts QuantizeLinear and DequantizeLinear around a node of integers; new names, inputs and outputs."""
    graph = model.graph
    node = graph.node[0]
    kind = node.op_type
    at = {name: array for name, array in zip(node.input, arrays)}
    first = arrays[0]
    nothing = (None,) * 4
    if any(array is None or array.dtype not in (np.float32, np.uint8, np.int8, np.int32) for array in at.values()):
        return nothing

    def real(values, scale, zero_point):
        return (values.astype(np.int32) - np.int32(zero_point)).astype(np.float32) * scale

    if kind in ("QLinearConv", "QLinearMatMul"):
        scale, zero = node.input[1], node.input[2]
        out_scale, out_zero = node.input[6], node.input[7]
        for name in (scale, zero, out_scale, out_zero):
            # A scale for all is a scalar; some cases have a vector of one.
            weight = next(weight for weight in graph.initializer if weight.name == name)
            weight.CopyFrom(numpy_helper.from_array(at[name].reshape(()), name))
        graph.node.insert(0, helper.make_node("QuantizeLinear", ["real_x", scale, zero], [x]))
        graph.node.append(helper.make_node("DequantizeLinear", [y, out_scale, out_zero], ["real_y"]))
        inputs = real(first, at[scale].reshape(()), at[zero].reshape(()))
        return "real_x", "real_y", inputs, real(outputs, at[out_scale].reshape(()), at[out_zero].reshape(()))
    if len(node.input) < 3 or node.attribute and at[node.input[1]].ndim > 1:
        return nothing
    scale, zero = at[node.input[1]], at[node.input[2]]
    if zero.dtype not in (np.uint8, np.int8):
        return nothing
    if scale.ndim == 1:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        shape = [-1 if i == axis else 1 for i in range(first.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    if kind == "QuantizeLinear":
        graph.node.append(helper.make_node("DequantizeLinear", [y, *node.input[1:]], ["real_y"]))
        graph.node[1].attribute.extend(node.attribute)
        inputs, result = first, real(outputs, scale, zero)
        name = x
    else:
        graph.node.insert(0, helper.make_node("QuantizeLinear", ["real_x", *node.input[1:]], [x]))
        graph.node[0].attribute.extend(node.attribute)
        inputs, result, name = outputs, outputs, "real_x"
        y = graph.node[1].output[0]
        return name, y, *(array[None] if array.ndim == 1 else array for array in (inputs, result))
    return name, "real_y", *(array[None] if array.ndim == 1 else array for array in (inputs, result))


def node_tests():
    """(name, model, inputs, outputs) of ONNX's tests of operators."""
    for module in MODULES:
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    for case in node_cases._NodeTestCases:  # noqa: SLF001: the public function makes the cases of all operators
        # What an operator that is a function is made of: other operators.
        if "_expanded" not in case.name:
            yield case.name, case.model, *case.data_sets[0]


def exported_tests():
    """(name, model, inputs, outputs) of layers that PyTorch exported."""
    folder = Path(onnx.__file__).parent / "backend/test/data/pytorch-converted"
    for case in sorted(folder.iterdir()):
        if any(layer in case.name for layer in OTHER_LAYERS):
            continue
        # They are of 2017; what is exported now is of later operator sets.
        try:
            model = onnx.version_converter.convert_version(onnx.load(case / "model.onnx"), 13)
        except RuntimeError:
            continue
        read = lambda kind, case=case: [  # noqa: E731
            numpy_helper.to_array(onnx.load_tensor(path)) for path in sorted((case / "test_data_set_0").glob(f"{kind}_*.pb"))
        ]
        yield case.name, model, read("input"), read("output")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = []
    for source, tests in (("node", node_tests()), ("pytorch", exported_tests())):
        for name, model, arrays, expected in tests:
            fixed = fix(model, arrays, expected, source == "pytorch")
            if fixed is None:
                continue
            model, inputs, outputs = fixed
            name = name.removeprefix("test_")
            onnx.save(model, args.folder / f"{name}.onnx")
            np.save(args.folder / f"{name}.inputs.npy", np.ascontiguousarray(inputs, np.float32))
            np.save(args.folder / f"{name}.expected.npy", np.ascontiguousarray(outputs, np.float32))
            ops = [node.op_type for node in model.graph.node]
            integers = any(op.startswith("Q") or op == "DequantizeLinear" for op in ops)
            cases.append({"name": name, "source": source, "op": ops[0], "integers": integers})
    (args.folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Does ONNX Runtime give, for quantized models, the very logits that Kiln computed?

FOLDER holds, for each model, NAME.onnx, NAME.inputs.npy (f32, one input along axis 0 each) and
NAME.logits.npy (f32, inputs × classes). Logits are compared byte for byte, with one thread and
ONNX Runtime's own settings. Each model is checked with ONNX's full checker, and the graph that ONNX
Runtime made of it is looked through: nothing that has integers may run in float.

Prints one line of JSON for each model; exits with 1 when any has a complaint.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from sessions import session

# Functions of one value: ONNX Runtime runs most of them in float, which gives 256 values at most.
POINTWISE = {
    "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "QuickGelu", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Tanh",
}
# Of integers, made by ONNX Runtime of what stands between DequantizeLinear and QuantizeLinear.
INTEGER = {
    "QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool",
    "QLinearLeakyRelu", "QLinearMatMul", "QLinearMul", "QLinearSigmoid",
}
# What moves values, or finds the largest: the same in integers and in float.
MOVES = {"Concat", "Flatten", "MaxPool", "NhwcMaxPool", "Pad", "Reshape", "Resize", "Squeeze", "Transpose", "Unsqueeze"}
QUANTIZE = {"QuantizeLinear", "DequantizeLinear"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the models, inputs and logits")
    parser.add_argument("--allow", action="append", default=[], metavar="OP", help="may run in float too: say why where this is given")
    return parser.parse_args()


def in_float(model: onnx.ModelProto, allowed: set[str]) -> list[str]:
    """Operators of an optimized graph that compute in float and are no functions of one value."""
    nodes = model.graph.node
    writer = {output: node for node in nodes for output in node.output}
    constants = {weight.name for weight in model.graph.initializer}

    def sources(name: str) -> set[str]:
        """The quantized tensors that a float value is made of, through functions of one value."""
        node = writer.get(name)
        if name in constants or node is None:
            return set()
        if node.op_type in POINTWISE | {"Mul"}:
            return set().union(*(sources(part) for part in node.input if part))
        return {node.input[0] if node.op_type == "DequantizeLinear" else name}

    found = []
    for node in nodes:
        kind = node.op_type
        if kind in POINTWISE | INTEGER | MOVES | QUANTIZE | allowed:
            continue
        # x * Sigmoid(x) and its like are functions of one value.
        if kind == "Mul" and len(sources(node.output[0])) <= 1:
            continue
        found.append(f"{kind} {node.name or node.output[0]}")
    return found


def compare(path: Path, optimized: Path, allowed: set[str]) -> dict:
    """What there is to say about one model."""
    inputs = np.load(path.with_suffix(".inputs.npy"))
    ours = np.load(path.with_suffix(".logits.npy"))
    report = {"model": path.stem, "n": len(inputs), "values": int(ours.size), "different": 0}
    complaints = []
    try:
        onnx.checker.check_model(onnx.load(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        complaints.append(f"onnx.checker: {error}")
    try:
        runs = session(path, optimized)
    except Exception as error:  # noqa: BLE001: whatever ONNX Runtime says against a file is a complaint
        return report | {"complaints": [*complaints, f"ONNX Runtime: {error}"]}
    name = runs.get_inputs()[0].name
    theirs = np.stack([runs.run(None, {name: one[None]})[0][0] for one in inputs])
    left = in_float(onnx.load(optimized), allowed)
    if left:
        complaints.append(f"in float: {', '.join(left)}")
    if theirs.shape != ours.shape or theirs.dtype != np.float32:
        complaints.append(f"ONNX Runtime's logits are {theirs.dtype} {theirs.shape}, Kiln's {ours.dtype} {ours.shape}")
        return report | {"complaints": complaints}
    wrong = np.argwhere(theirs.view(np.uint32) != ours.view(np.uint32))
    if len(inputs) == 0:
        complaints.append("no inputs")
    if len(wrong):
        at = tuple(int(index) for index in wrong[0])
        complaints.append(f"{len(wrong)} of {ours.size} logits differ, the first at {at}: {theirs[at]}, not {ours[at]}")
    return report | {"different": len(wrong), "distinct": len(np.unique(theirs)), "complaints": complaints}


def main() -> int:
    args = arguments()
    models = sorted(args.folder.glob("*.onnx"))
    failed = not models
    with tempfile.TemporaryDirectory() as temporary:
        for path in models:
            report = compare(path, Path(temporary) / "optimized.onnx", set(args.allow))
            failed |= bool(report["complaints"])
            print(json.dumps(report))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

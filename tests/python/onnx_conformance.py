"""Does an exported ONNX file give, in ONNX Runtime, the logits that Kiln computed?

Checks the file with ONNX's full checker, its metadata, its single input and output, and compares
the logits of every picture: the same top-1, and within a tolerance. Prints one line of JSON;
exits with 1 when a check says no.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from sessions import session


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument(
        "--inputs", type=Path, required=True,
        help="f32 inputs as the model takes them: one .npy with pictures along axis 0, or a folder of one .npy a picture",
    )
    parser.add_argument("--logits", type=Path, required=True, help="Kiln's logits: .npy, pictures × classes")
    parser.add_argument("--metadata", action="append", default=[], metavar="KEY", help="a key that metadata_props must hold")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest allowed difference of a logit")
    return parser.parse_args()


def load_inputs(path: Path) -> np.ndarray:
    """Pictures along axis 0, in the order of their names."""
    if path.is_dir():
        return np.stack([np.load(file) for file in sorted(path.glob("*.npy"))])
    return np.load(path)


def complaints_about(model: onnx.ModelProto, keys: list[str]) -> list[str]:
    """What is wrong with the file itself."""
    found = []
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        found.append(f"onnx.checker: {error}")
    if len(model.graph.input) != 1 or len(model.graph.output) != 1:
        found.append("the graph must have one input and one output")
    if any(node.op_type in ("Softmax", "LogSoftmax") for node in model.graph.node):
        found.append("softmax is inside the graph")
    held = {entry.key: entry.value for entry in model.metadata_props}
    found += [f"metadata_props lacks {key}" for key in keys if not held.get(key)]
    return found


def run(path: Path, inputs: np.ndarray) -> np.ndarray:
    """ONNX Runtime's logits on the CPU, in batches of the size that the file fixes (any, if none)."""
    runtime = session(path)
    entry = runtime.get_inputs()[0]
    batch = entry.shape[0] if isinstance(entry.shape[0], int) else 64
    parts = [inputs[at : at + batch] for at in range(0, len(inputs), batch)]
    short = batch - len(parts[-1]) if entry.shape[0] == batch else 0
    parts[-1] = np.concatenate([parts[-1], np.repeat(parts[-1][-1:], short, axis=0)])
    return np.concatenate([runtime.run(None, {entry.name: part})[0] for part in parts])[: len(inputs)]


def main() -> int:
    args = arguments()
    inputs = load_inputs(args.inputs)
    ours = np.load(args.logits)
    if len(inputs) == 0 or ours.ndim != 2 or len(ours) != len(inputs):
        print(f"onnx_conformance: {len(inputs)} inputs and logits of shape {ours.shape} do not match", file=sys.stderr)
        return 2

    complaints = complaints_about(onnx.load(args.model), args.metadata)
    theirs = run(args.model, inputs)
    report = {"model": str(args.model), "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "n": len(inputs)}
    if theirs.shape != ours.shape:
        complaints.append(f"ONNX Runtime's logits have the shape {theirs.shape}, Kiln's {ours.shape}")
    else:
        difference = np.abs(theirs.astype(np.float64) - ours).max()
        agree = int((theirs.argmax(axis=1) == ours.argmax(axis=1)).sum())
        report |= {"max_abs_difference": float(difference) if np.isfinite(difference) else None, "same_top1": agree}
        # Written so that a NaN is a complaint as well.
        if not difference <= args.tolerance:
            complaints.append(f"a logit differs by {difference}, more than {args.tolerance}")
        if agree != len(inputs):
            complaints.append(f"the top-1 differs on {len(inputs) - agree} of {len(inputs)} pictures")
    print(json.dumps(report | {"complaints": complaints}))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

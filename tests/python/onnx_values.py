"""Writes what ONNX Runtime computes for one tensor inside a model, as f32, one input of the model at a time.

For files with signed activations.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx

from sessions import session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tensor", help="its name in the file")
    parser.add_argument("inputs", type=Path, help=".npy, one input along axis 0 each")
    parser.add_argument("out", type=Path, help=".npy to write")
    args = parser.parse_args()
    model = onnx.load(args.model)
    if args.tensor not in [output.name for output in model.graph.output]:
        inferred = onnx.shape_inference.infer_shapes(model).graph
        kinds = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
        model.graph.output.append(onnx.helper.make_tensor_value_info(args.tensor, kinds[args.tensor], None))
    runtime = session(model.SerializeToString(), signed=True)
    entry = runtime.get_inputs()[0]
    kind = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(float)": np.float32}[entry.type]
    inputs = np.load(args.inputs).astype(kind)
    values = [runtime.run([args.tensor], {entry.name: one[None]})[0].astype(np.float32) for one in inputs]
    np.save(args.out, np.concatenate(values))


if __name__ == "__main__":
    main()

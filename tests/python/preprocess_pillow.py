"""Are Kiln's resized pictures, colour and grey, Pillow's to the byte?

Reads cases one after the other: five little-endian u32 (width and height of the picture and of the
result, channels of the result), the picture's RGB bytes, the result's bytes. Prints one line of
JSON; exits with 1 at the first difference and says where it is.
"""

import argparse
import json
import struct
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image


def resized(picture: np.ndarray, width: int, height: int, channels: int) -> np.ndarray:
    """Pillow's result. Along x first: in one call, its pass order depends on version and shape."""
    image = Image.fromarray(picture)
    image = image.resize((width, image.height), Image.Resampling.BILINEAR)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image if channels == 3 else image.convert("L")).reshape(height, width, channels)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    data = memoryview(parser.parse_args().cases.read_bytes())

    def take(*shape: int) -> np.ndarray:
        nonlocal data
        count = int(np.prod(shape))
        taken, data = data[:count], data[count:]
        return np.frombuffer(taken, np.uint8).reshape(shape)

    cases = compared = 0
    while data:
        in_width, in_height, width, height, channels = struct.unpack("<5I", take(20))
        picture = take(in_height, in_width, 3)
        ours = take(height, width, channels)
        theirs = resized(picture, width, height, channels)
        if (ours != theirs).any():
            y, x, channel = np.argwhere(ours != theirs)[0]
            print(
                f"{in_width} x {in_height} to {width} x {height}, {channels} channels: {(ours != theirs).sum()} bytes "
                f"differ, first at y {y}, x {x}, channel {channel}: {ours[y, x, channel]}, Pillow {theirs[y, x, channel]}",
                file=sys.stderr,
            )
            return 1
        cases += 1
        compared += ours.size
    print(json.dumps({"pillow": PIL.__version__, "cases": cases, "bytes": compared}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

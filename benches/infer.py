"""Latency of int8 inference on one thread, Kiln beside its peers, in turns.

Every round runs each side once for each net, each in a process of its own; who begins changes. The
table gives the median over the rounds of each side's median, the best single measurement, and how
many times Kiln is faster. Turns make the ratios hold where a machine's speed drifts; absolute
figures belong to one machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

NETS = ["ic", "vww", "kws", "ad"]
PEERS = Path(__file__).parent / "infer/peers.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiln", required=True, help="the program infer_speed")
    parser.add_argument("--tract", required=True, help="the program tract_speed")
    parser.add_argument("--compiled", required=True, type=Path, help="the folder of NET.kiln and NET.onnx")
    parser.add_argument("--models", required=True, type=Path, help="the folder of MLPerf Tiny's models")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=300, help="of each measurement")
    parser.add_argument("--net", action="append", choices=NETS, help="only this one (may be repeated)")
    args = parser.parse_args()

    def commands(net: str) -> list[list[str]]:
        def model(name: str) -> str:
            return str(args.models / f"{net}.{name}")

        return [
            [args.kiln, net, str(args.compiled / f"{net}.kiln")],
            [sys.executable, str(PEERS), "litert", net, model("int8.tflite")],
            [sys.executable, str(PEERS), "onnxruntime", net, model("int8-qdq.onnx")],
            [sys.executable, str(PEERS), "onnxruntime-u8", net, str(args.compiled / f"{net}.onnx")],
            [args.tract, net, model("float.onnx")],
        ]

    found = defaultdict(lambda: defaultdict(list))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    for round_ in range(args.rounds):
        print(f"round {round_ + 1} of {args.rounds}", file=sys.stderr)
        for net in args.net or NETS:
            sides = commands(net)
            first = round_ % len(sides)
            for command in sides[first:] + sides[:first]:
                done = subprocess.run(
                    [*command, str(args.milliseconds)], capture_output=True, text=True, env=environment
                )
                if done.returncode != 0:
                    sys.exit(f"{' '.join(command)}: {done.stderr}")
                line = json.loads(done.stdout)
                found[net][line["side"]].append(line)

    print(f"one thread, median of {args.rounds} rounds; first: from the file to the first answer")
    print(f"{'net':<5} {'':<18} {'us':>9} {'best us':>9} {'ratio':>7} {'first ms':>9} {'peak KiB':>9}")
    ratios = {}
    for net, sides in found.items():
        middle = {side: statistics.median(line["us"] for line in lines) for side, lines in sides.items()}
        kiln = middle["Kiln int8"]
        for side in sorted(sides, key=middle.get):
            lines = sides[side]
            best = min(line["best_us"] for line in lines)
            first = statistics.median(line["first_ms"] for line in lines)
            peak = max(line["peak_kib"] for line in lines)
            ratio = middle[side] / kiln
            print(f"{net:<5} {side:<18} {middle[side]:9.2f} {best:9.2f} {ratio:7.2f} {first:9.2f} {peak:9}")
        ratios[net] = {side: middle[side] / kiln for side in sides if side != "Kiln int8"}
    print(json.dumps({"threads": 1, "ratios": ratios}))


if __name__ == "__main__":
    main()

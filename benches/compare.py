"""Runs two programs in turns and compares what they measured.

Each side prints one line of JSON a case: `side` (its name), `net`, and `images_per_second`. The
table gives the median over the rounds, its spread, and the ratio of the first side to the second.
Turns make the ratio hold where a machine's speed drifts; absolute figures belong to one machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict


def measure(program: str, args: argparse.Namespace) -> list[dict]:
    """One round of one side."""
    command = [sys.executable, program] if program.endswith(".py") else [program]
    command += ["--rounds", "1", "--steps", str(args.steps), "--threads", str(args.threads)]
    command += [word for net in args.net for word in ("--net", net)]
    threads = {name: str(args.threads) for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | threads)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", action="append", required=True, metavar="PROGRAM", help="given twice")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--steps", type=int, default=40, help="training steps a measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--net", action="append", default=[], help="only this one (may be repeated)")
    args = parser.parse_args()
    if len(args.side) != 2:
        parser.error("--side is needed twice")

    speeds = defaultdict(lambda: ([], []))
    names = ["", ""]
    for round_ in range(args.rounds):
        print(f"round {round_ + 1} of {args.rounds}", file=sys.stderr)
        # Who begins alternates too.
        for side in (0, 1) if round_ % 2 == 0 else (1, 0):
            for line in measure(args.side[side], args):
                names[side] = line["side"]
                speeds[line["net"]][side].append(line["images_per_second"])

    print(f"images a second, {args.threads} threads, median of {args.rounds} rounds (lowest to highest)")
    for net, sides in speeds.items():
        medians = [statistics.median(side) for side in sides]
        for name, side, median in zip(names, sides, medians):
            print(f"{net:<12} {name:<24} {median:8.0f}  ({min(side):.0f} to {max(side):.0f})")
        print(f"{net:<12} {'ratio':<24} {medians[0] / medians[1]:8.2f}")
    ratios = {net: statistics.median(a) / statistics.median(b) for net, (a, b) in speeds.items()}
    print(json.dumps({"sides": names, "threads": args.threads, "ratios": ratios}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coverage.py COUNTS: one line per room from gcovr's JSON; exit 1, with file:line of everything that
did not run in it, where a room is below its floor."""

import json
import sys

ROOMS = ["src/memory", "src/runtime", "src/decode", "src/swipe", "cli"]
FLOOR = {"src/memory": (100.0, 100.0), "cli": (90.0, 84.0)}  # lines, branches
FLOOR_ELSEWHERE = (90.0, 90.0)


def room_of(name):
    return next((room for room in ROOMS if name.startswith(room + "/")), None)


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    counts = {room: [0, 0, 0, 0] for room in ROOMS}  # lines run, lines, branches taken, branches
    missing = {room: [] for room in ROOMS}
    for entry in files:
        room = room_of(entry["file"])
        if room is None:
            sys.exit(f"{entry['file']} belongs to no room this script knows: {', '.join(ROOMS)}")
        for line in entry["lines"]:
            if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
                continue
            place = f"{entry['file']}:{line['line_number']}"
            counts[room][0] += line["count"] > 0
            counts[room][1] += 1
            if line["count"] == 0:
                missing[room].append(f"{place}: never ran")
            taken = [branch["count"] > 0 for branch in line["branches"]]
            counts[room][2] += sum(taken)
            counts[room][3] += len(taken)
            if line["count"] > 0 and not all(taken):
                missing[room].append(f"{place}: {len(taken) - sum(taken)} of {len(taken)} branches never taken")

    print(f"{'room':<12} {'lines':>8} {'':>13} {'branches':>8} {'':>13} {'floors':>8}")
    failed = []
    for room in ROOMS:
        ran, lines, taken, branches = counts[room]
        floor = FLOOR.get(room, FLOOR_ELSEWHERE)
        if lines == 0:
            failed.append(room)
            missing[room].append("no file of it was counted")
        elif share(ran, lines) < floor[0] or share(taken, branches) < floor[1]:
            failed.append(room)
        print(f"{room:<12} {share(ran, lines):7.1f}% {f'{ran} of {lines}':>13} "
              f"{share(taken, branches):7.1f}% {f'{taken} of {branches}':>13} {floor[0]:5.0f} {floor[1]:.0f} %")
    for room in failed:
        print(f"\n{room} is below its floor. Not covered:")
        print("\n".join("  " + text for text in missing[room]))
    sys.exit(1 if failed else 0)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The table of campaigns in the README is that of their records in tests/data/campaigns. Usage: ledger.py SOURCE [--write]

--write puts it there, as tests/campaign does after each record.
"""
import json
import pathlib
import sys

BEGIN, END = "<!-- ledger: tests/meta/ledger.py -->\n", "<!-- /ledger -->\n"
WHAT = {
    "fuzz": lambda r: f"{r['core_hours']:.1f} core-hours, {r['executions'] / 1e6:,.0f} million executions of {len(r['targets'])} targets under ASan and UBSan; "
                      f"{r['findings']} findings, mended and kept",
    "crash": lambda r: f"{r['states'] / 1e6:.0f} million states that a power cut may leave, {r['violations']} violations",
    "kill": lambda r: f"{r['runs']:,} stores killed or failed around {r['calls']} system calls, {r['violations']} violations",
    "reload": lambda r: f"{r['reloads']:,} reloads under load, {r['frames']:,} frames, no reply lost or mixed",
    "boot": lambda r: f"{r['passed']} of {r['checks']} checks of the package in a booted Debian 12",
    "deb-arm64": lambda r: f"{r['passed']} of {r['checks']} checks of the packages for aarch64, cross-built, under qemu-user",
    "tsan": lambda r: f"{r['unit_passed']} unit and {r['e2e_passed']} end-to-end tests under ThreadSanitizer, {r['reports']} reports",
    "overload": lambda r: f"{r['seconds']:.0f} s at ten times the capacity: {r['offered']:,} frames offered, {r['sent']:,} sent, {r['lost']} without a reply"
                          f", the slowest after {r['slowest_reply_ms']} ms; {r['replies']['answered'] / r['seconds']:,.0f} judged a second of {r['capacity_fps']:,}",
}


def table(records):
    lines = ["| campaign | what it did | date, commit |", "|---|---|---|"]
    for name, what in WHAT.items():
        path = records / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text())
            mark = "" if record["outcome"] == "passed" else " **failed**"
            try:
                done = what(record)
            except KeyError:  # it was broken off before it told anything
                done = "was broken off"
            lines.append(f"| `{name}`{mark} | {done} | {record['date']}, {record['commit']} |")
    return "\n".join(lines) + "\n"


def main():
    source = pathlib.Path(sys.argv[1])
    readme = source / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    old, found, after = rest.partition(END)
    new = table(source / "tests/data/campaigns")
    if not found:
        raise SystemExit("README.md has no place for the ledger")
    if sys.argv[2:] == ["--write"]:
        readme.write_text(before + BEGIN + new + END + after)
    elif old != new:
        print(f"README.md has an old ledger: run {sys.argv[0]} {source} --write", file=sys.stderr)
        return 1
    print(new, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

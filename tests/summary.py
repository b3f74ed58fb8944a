#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Adds up what the test runners wrote into a folder; prints failures and skips, then one line of totals.

Usage: summary.py FOLDER [REASON-FOR-A-SKIPPED-STAGE ...]
Reads meson's NAME.json (one JSON object a line, each a test program) and pytest's JUnit NAME.xml.
Exit status 0 only when something passed and nothing failed.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree


def meson_results(path):
    for line in path.read_text().splitlines():
        test = json.loads(line)
        name = f"{path.stem}: {test['name']}"
        outcome = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(test["result"], "failed")
        yield name, outcome, test["result"]


def junit_results(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{path.stem}: {case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        if problem is not None:
            yield name, "failed", (problem.get("message") or "").splitlines()[:1]
        elif skipped is not None:
            yield name, "skipped", skipped.get("message")
        else:
            yield name, "passed", None


def main():
    folder, reasons = pathlib.Path(sys.argv[1]), sys.argv[2:]
    count = {"passed": 0, "failed": 0, "skipped": len(reasons)}
    for path in sorted(folder.iterdir()):
        reader = {".json": meson_results, ".xml": junit_results}.get(path.suffix)
        for name, outcome, why in reader(path) if reader else ():
            count[outcome] += 1
            if outcome != "passed":
                print(f"{outcome}: {name}: {why}")
    for reason in reasons:
        print(f"skipped: {reason}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if count["failed"] == 0 and count["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())

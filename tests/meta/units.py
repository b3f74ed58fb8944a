#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The units as systemd judges them: no mistake in any, and an exposure of the service of at most 1.5, which is printed.
Usage: units.py SERVICE SOCKET...     exit status 77: systemd-analyze is missing
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

THRESHOLD = 15  # tenths


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def main():
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        units = [pathlib.Path(shutil.copy(unit, folder)) for unit in sys.argv[1:]]
        # What verify would look for on this machine, which has none of it installed.
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", units[0].read_text(), flags=re.MULTILINE)
        units[0].write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
        verified = analyze("verify", "--man=no", *units)
        # Other units of the machine may be wrong: only what names ours counts.
        wrong = [line for line in verified.stderr.splitlines() if "ocellus" in line]
        judged = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", "--no-pager", units[0])
    print(*wrong, judged.stdout.strip().splitlines()[-1] if judged.stdout else judged.stderr, sep="\n")
    return 1 if wrong or judged.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())

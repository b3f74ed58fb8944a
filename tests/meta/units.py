#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The units as systemd judges them: no mistake in any, and an exposure of the service, alone and with the drop-in that
gives it a network, of at most 1.5, which is printed. Usage: units.py DROP-IN SERVICE SOCKET...     exit status 77:
systemd-analyze is missing
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


def exposure(root):
    """What is printed of the service below the root, and whether it is low enough."""
    judged = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", "--no-pager", f"--root={root}", "ocellusd.service")
    return judged.stdout.strip().splitlines()[-1] if judged.stdout else judged.stderr, judged.returncode == 0


def main():
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, "etc/systemd/system")
        place.mkdir(parents=True)
        units = [pathlib.Path(shutil.copy(unit, place)) for unit in sys.argv[2:]]
        # What verify would look for on this machine, which has none of it installed.
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", units[0].read_text(), flags=re.MULTILINE)
        units[0].write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
        verified = analyze("verify", "--man=no", *units)
        # Other units of the machine may be wrong: only what names ours counts.
        wrong = [line for line in verified.stderr.splitlines() if "ocellus" in line]
        alone, low = exposure(folder)
        (place / "ocellusd.service.d").mkdir()
        shutil.copy(sys.argv[1], place / "ocellusd.service.d")
        connected, still_low = exposure(folder)
        if connected == alone:
            wrong.append("the drop-in changes nothing")
    print(*wrong, alone, f"with {pathlib.Path(sys.argv[1]).name}: {connected}", sep="\n")
    return 1 if wrong or not low or not still_low else 0


if __name__ == "__main__":
    sys.exit(main())

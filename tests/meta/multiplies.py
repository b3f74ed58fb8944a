#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The reference of the logarithmic convolution shifts and adds only. Usage: multiplies.py OBJDUMP LIBKERNEL

Reads the built object and looks for multiply instructions of x86-64 and aarch64. The s8 reference must show some, so
that a change of names or of objdump's output cannot make this test pass.
"""
import re
import subprocess
import sys

MULTIPLY = re.compile(r"mul|madd|msub|mneg|ml[as]|dot|vpdp|fn?m(add|sub)")


def multiplies(objdump, archive, member):
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", archive], check=True, capture_output=True,
                             text=True).stdout
    found, instructions, inside = [], 0, False
    for line in listing.splitlines():
        if "file format" in line:
            inside = line.split(":")[0].split("/")[-1] == member  # thin archives name paths
        match = re.match(r"\s+[0-9a-f]+:\t(?:(?:rep|lock|data16|bnd|notrack)\s+)*([a-z0-9.]+)", line)
        if inside and match:
            instructions += 1
            if MULTIPLY.search(match.group(1)):
                found.append(line.strip())
    if instructions < 50:
        sys.exit(f"{member}: only {instructions} instructions read")
    return found


def main():
    objdump, archive = sys.argv[1:]
    found = multiplies(objdump, archive, "log_c.c.o")
    print("\n".join(found) or "log_c.c multiplies nowhere")
    if not multiplies(objdump, archive, "conv_c.c.o"):
        sys.exit("conv_c.c multiplies nowhere either: this test sees nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

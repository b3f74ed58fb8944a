#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""What is built for processors without AVX-512 holds no instruction of its coding. Usage: vex.py OBJDUMP ARCHIVE...

An EVEX instruction begins with the byte 62, which no other instruction of 64-bit code does. The archive for AVX-VNNI
must show its dot product, so that a change of objdump's output cannot make this test pass.
"""
import re
import subprocess
import sys


def main():
    objdump, *archives = sys.argv[1:]
    found, dots = [], 0
    for archive in archives:
        listing = subprocess.run([objdump, "-d", "--insn-width=16", archive], check=True, capture_output=True,
                                 text=True).stdout
        instructions = re.findall(r"^ +[0-9a-f]+:\t(..) .*\t(.*)$", listing, re.MULTILINE)
        if len(instructions) < 500:
            sys.exit(f"{archive}: only {len(instructions)} instructions read")
        found += [f"{archive}: {text}" for byte, text in instructions if byte == "62"]
        dots += sum("vpdpbusd" in text for _, text in instructions)
    if dots == 0:
        sys.exit("no vpdpbusd in any archive: this test sees nothing")
    print("\n".join(found) or f"no EVEX instruction, {dots} dot products")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

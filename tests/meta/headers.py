#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Every header compiles alone, as C17, without help from what is included before it. Those that only files for one
instruction set include are left to these files. Usage: headers.py SOURCE CC"""
import pathlib
import re
import shutil
import subprocess
import sys


def main():
    source, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
    listed = []
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", str(source), "ls-files", "*.h"], capture_output=True,
                                text=True).stdout.split()
    every = [path.relative_to(source) for path in source.rglob("*.h")]
    headers = listed or [str(path) for path in every if not path.parts[0].startswith("build")]
    headers = [header for header in headers if not re.search(r"_(avx2|avx512|neon)\.h$", header)]
    failed = 0
    for header in sorted(headers):
        result = subprocess.run(
            [*compiler, "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
             "-fsyntax-only", f"-I{source}", "-x", "c", "-"],
            input=f'#include "{header}"\n#include "{header}"\nint main(void) {{ return 0; }}\n',
            capture_output=True, text=True)
        if result.returncode != 0:
            failed += 1
            print(f"{header}:\n{result.stderr}")
    print(f"{len(headers)} headers, {failed} do not compile alone")
    return 1 if failed or len(headers) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())

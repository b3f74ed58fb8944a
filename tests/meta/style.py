#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""What a reviewer should not have to look for. Usage: style.py SOURCE

Licence lines, files under 600 lines, no tabs in C, no promises left in the code, no paths of the machine it was written
on, only the fixed names at the top, shell scripts that shellcheck accepts.
"""
import pathlib
import re
import shutil
import subprocess
import sys

TOP = {"daemon", "proto", "engine", "config", "clients", "tests", "packaging", "meson.build", "meson_options.txt",
       "README.md", "LICENSE"}
CODE = {".c", ".h", ".py", ".sh", ".js"}
PROMISES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+)/")


def tracked(source):
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", str(source), "ls-files", "-z"], capture_output=True, text=True)
        if listed.returncode == 0 and listed.stdout:
            return [pathlib.Path(name) for name in listed.stdout.split("\0") if name]
    return [path.relative_to(source) for path in source.rglob("*")
            if path.is_file() and not path.relative_to(source).parts[0].startswith(("build", ".git"))]


def check(source, name, text):
    first = "\n".join(text.splitlines()[:3])
    shell = first.startswith("#!") and "sh" in first.splitlines()[0]
    if (name.suffix in CODE or shell) and "SPDX-License-Identifier: Apache-2.0" not in first:
        yield "no SPDX line at its top"
    if name.suffix in {".c", ".h"}:
        if text.count("\n") >= 600:
            yield f"{text.count(chr(10))} lines, 600 are too many"
        if "\t" in text:
            yield "a tab"
    if PROMISES.search(text) and name.suffix in CODE:
        yield "a promise left in the code"
    if MACHINE.search(text) and name.suffix != ".css":
        yield f"a path of some machine: {MACHINE.search(text).group(0)}"
    if shell and shutil.which("shellcheck"):
        result = subprocess.run(["shellcheck", "-f", "gcc", str(source / name)], capture_output=True, text=True)
        yield from result.stdout.splitlines()


def main():
    source = pathlib.Path(sys.argv[1])
    files, problems = tracked(source), []
    for name in files:
        if name.parts[0] not in TOP and not name.parts[0].startswith("."):
            problems.append(f"{name}: not one of the fixed names at the top")
        try:
            text = (source / name).read_text()
        except UnicodeDecodeError:
            continue
        problems += [f"{name}: {problem}" for problem in check(source, name, text)]
    print("\n".join(problems) or f"{len(files)} files are as they should be")
    return 1 if problems or len(files) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())

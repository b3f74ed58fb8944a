#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The ids of the log's messages and the journal's catalog are the same set, and the journal takes the catalog. Usage:
catalog.py SOURCE

Every entry has a subject and a text, every id is a random UUID and is used in the daemon, and where journalctl is here
it compiles the catalog and finds each entry in it.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import uuid

WIDTH = 120


def read_ids(text):
    return re.findall(r'X\((\w+),\s*(LOG_\w+),\s*"([^"]*)"\)', text)


def read_catalog(text):
    """{id: (fields, text)}, what comes before the first entry left out."""
    entries = {}
    for part in re.split(r"^-- ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        head, _, body = rest.partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        if name in entries:
            raise SystemExit(f"{name} is explained twice")
        entries[name] = (fields, body.strip())
    return entries


def check(source):
    ids = read_ids((source / "daemon/log_ids.h").read_text())
    text = (source / "packaging/systemd/ocellus.catalog").read_text()
    entries = read_catalog(text)
    numbers = [number for _, _, number in ids]
    code = "\n".join(path.read_text() for path in (source / "daemon").glob("*.c"))
    if len(ids) < 5 or len(set(numbers)) != len(ids):
        yield "ids are missing, or one is there twice"
    for number in set(numbers) ^ set(entries):
        yield f"{number}: in the {'header' if number in numbers else 'catalog'} only"
    for name, _, number in ids:
        if not re.fullmatch(r"[0-9a-f]{32}", number) or uuid.UUID(number).version != 4:
            yield f"{name}: {number} is no random UUID of 32 small digits"
        if f"LOG_ID_{name}," not in code:
            yield f"{name} is never logged"
    for number, (fields, body) in entries.items():
        if not fields.get("Subject") or fields.get("Defined-By") != "Ocellus" or len(body) < 40:
            yield f"{number}: no subject, no text, or of somebody else"
    if any(len(line) > WIDTH for line in text.splitlines()):
        yield f"a line of more than {WIDTH} characters"


def compile_catalog(source):
    """What the journal itself says."""
    entries = read_catalog((source / "packaging/systemd/ocellus.catalog").read_text())
    with tempfile.TemporaryDirectory() as root:
        place = pathlib.Path(root, "usr/lib/systemd/catalog")
        place.mkdir(parents=True)
        pathlib.Path(root, "var/lib/systemd/catalog").mkdir(parents=True)
        shutil.copy(source / "packaging/systemd/ocellus.catalog", place)
        made = subprocess.run(["journalctl", f"--root={root}", "--update-catalog"], capture_output=True, text=True)
        if made.returncode != 0 or made.stderr.strip():
            yield f"journalctl --update-catalog: {made.stderr}"
            return
        listed = subprocess.run(["journalctl", f"--root={root}", "--list-catalog"], capture_output=True, text=True).stdout
        for number, (fields, _) in entries.items():
            if f"{number} Ocellus: {fields['Subject']}" not in listed:
                yield f"{number}: not found in the compiled catalog"


def main():
    source = pathlib.Path(sys.argv[1])
    problems = list(check(source))
    if shutil.which("journalctl"):
        problems += compile_catalog(source)
    print("\n".join(problems) or "the catalog explains every message")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

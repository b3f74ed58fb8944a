#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The test of the crash tests: breaks the store in one place after the other and demands that `states` sees each.

Usage: mutants.py SOURCE-ROOT BUILD-FOLDER
"""
import pathlib
import subprocess
import sys
import tempfile

# (what is broken, file, text, its replacement, which of several places: 0 the first)
MUTANTS = [
    ("a commit is not synced", "log.c", "err = io->sync(io->context, store->log);", "err = 0;", 0),
    ("a new log's header is not synced", "log.c", "err = io->sync(io->context, fd);", "err = 0;", 0),
    ("a new store's directory is not synced", "store.c", "err = store->io.sync_directory(store->io.context);", "err = 0;", 0),
    ("a tail is not cut", "store.c", "int err = io->truncate(io->context, store->log, scan->end);", "int err = 0;", 0),
    ("a snapshot is not synced", "snapshot.c", "err = io->sync(io->context, fd);", "err = 0;", 0),
    ("the directory is not synced before the rename", "snapshot.c", "err = io->sync_directory(io->context);", "err = 0;", 0),
    ("the directory is not synced after the rename", "snapshot.c", "err = io->sync_directory(io->context);", "err = 0;", 1),
    ("a failed sync is not final", "log.c", "        store->failed = true;\n", "", 0),
    ("a failed snapshot is not final", "snapshot.c", "        store->failed = true;\n", "", 0),
    ("a commit is acknowledged when it was not written", "log.c", "    if (err < 0) {\n        store->failed = true;\n        return err;\n    }",
     "    if (err < 0) {\n        err = 0;\n    }", 0),
    ("the chain is not compared", "log.c", "header.chain != chain_of(&header, payload, scan->chain)", "false", 0),
    ("the chain leaves the payload out", "log.c", "XXH3_64bits_withSeed(payload, header->length, sum_header(header, chain))", "sum_header(header, chain)", 0),
    ("the check of a header is not compared", "log.c", "header.check != (uint32_t)sum_header(&header, salt)", "false", 0),
    ("a damaged middle is cut", "log.c", "header.sequence - header.back > next", "false", 0),
    ("any later record makes damage", "log.c", "header.sequence - header.back > next", "header.sequence > next", 0),
    ("the sum of a file's header is not compared", "log.c",
     "header->sum != XXH3_64bits(header, offsetof(struct store_file_header, sum))", "false", 0),
    ("the sum of a snapshot is not compared", "snapshot.c",
     "header.payload_sum != XXH3_64bits_withSeed(payload, header.length, header.salt)", "false", 0),
    ("the old epoch goes before the rename", "snapshot.c", "            err = io->rename(io->context, temporary, snap);",
     "            remove_epoch(store, store->epoch);\n            err = io->rename(io->context, temporary, snap);", 0),
    ("opening believes what memory holds", "store.c", "return io->forget(io->context, store->log);", "return 0;", 0),
    ("opening does not sync the log", "store.c", "    io->sync(io->context, store->log);\n    return", "    return", 0),
    ("opening does not sync the directory", "store.c", "int err = io->sync_directory(io->context);", "int err = 0;", 0),
    ("a commit is not charged", "log.c", "store_budget_charge(&store->budget, commit_cost(store, bytes, &allocate));",
     "commit_cost(store, bytes, &allocate);", 0),
    ("the ledger does not survive a start", "store.c", "    store_budget_resume(&store->budget, &scan.times);\n", "", 0),
]


def mutate(text, old, new, which):
    parts = text.split(old)
    if len(parts) < which + 2:
        return None
    return old.join(parts[:which + 1]) + new + old.join(parts[which + 1:])


def survives(root, folder, name, text):
    """Builds the store with one file replaced; true when `states` sees nothing wrong."""
    sources = [root / "tests/crash/disk.c", root / "tests/crash/states.c"]
    for path in sorted((root / "engine/store").glob("*.c")):
        if path.name == name:
            path = folder / name
            path.write_text(text)
        sources.append(path)
    program = folder / "states"
    subprocess.run(["cc", "-O1", "-std=c17", "-D_GNU_SOURCE", "-w", "-I", root, *sources, "-o", program, "-lxxhash"], check=True)
    try:
        return subprocess.run([program, "--states", "40000"], stdout=subprocess.DEVNULL, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main():
    root, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    failures = 0
    with tempfile.TemporaryDirectory(dir=build) as name:
        folder = pathlib.Path(name)
        if not survives(root, folder, None, None):
            sys.exit("the store as it is does not pass")
        for what, file, old, new, which in MUTANTS:
            text = mutate((root / "engine/store" / file).read_text(), old, new, which)
            if text is None:
                print(f"{file} does not say any more: {old}")
                failures += 1
            elif survives(root, folder, file, text):
                print(f"not seen: {what}")
                failures += 1
            else:
                print(f"seen: {what}")
    print(f"{len(MUTANTS) - failures} of {len(MUTANTS)} mutants seen")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The ledger against the device: 1,000 commits on an ext4 of its own, on a loop device; then a full disk and one that is
made read-only under way. Skips (exit status 77) where loop devices or mounting are not to be had.

Usage: device.py WORKLOAD [COMMITS]
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SKIP = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def call(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Disk:
    def __init__(self, place, mib, block=None):
        """block: bytes; None: as mkfs.ext4 chooses, 1 KiB on small ones."""
        self.image, self.mount = place / "image", place / "mount"
        self.mount.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(mib << 20)
        size = ["-b", str(block)] if block else []
        if call("mkfs.ext4", "-q", "-F", *size, "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image).returncode != 0:
            skip("no mkfs.ext4")
        result = call("mount", "-o", "loop,noatime", self.image, self.mount)
        if result.returncode != 0:
            skip("no loop device can be mounted: " + result.stderr.strip())
        self.device = re.search(r"/dev/(loop\d+)", call("findmnt", "-n", "-o", "SOURCE", self.mount).stdout).group(1)

    def written(self):
        """Bytes by the file system, and by the block device, after everything was written back."""
        call("sync", "-f", self.mount)
        session = int(pathlib.Path(f"/sys/fs/ext4/{self.device}/session_write_kbytes").read_text()) << 10
        return session, int(pathlib.Path(f"/sys/block/{self.device}/stat").read_text().split()[6]) * 512

    def close(self):
        call("umount", self.mount)


def measure(place, workload, commits):
    disk = Disk(place, 128, 4096)  # the block size of every card from 512 MiB on
    try:
        (disk.mount / "store").mkdir()
        before = disk.written()
        result = call(workload, "run", disk.mount / "store", place / "acks", str(commits), "200")
        after = disk.written()
        if result.returncode != 0:
            sys.exit(f"the store failed: {result.stderr}")
        charged = json.loads(result.stdout)["charged"]
        by_fs, by_device = after[0] - before[0], after[1] - before[1]
        print(f"{commits} commits: ledger {charged} bytes, ext4 {by_fs} ({charged / max(by_fs, 1):.2f}), "
              f"block device {by_device} ({charged / max(by_device, 1):.2f})")
        return max(by_fs, by_device) <= charged <= 2 * max(by_fs, by_device)
    finally:
        disk.close()


def refused(place, workload, mib, spoil):
    """The store stops with an error, and what it acknowledged is there when the disk works again."""
    disk = Disk(place, mib)
    try:
        (disk.mount / "store").mkdir()
        first = call(workload, "run", disk.mount / "store", place / "acks", "20", "200")
        undo = spoil(disk)
        second = call(workload, "run", disk.mount / "store", place / "acks", "2000", "4000")
        undo()
        check = call(workload, "check", disk.mount / "store", place / "acks")
        print(f"{spoil.__name__}: {second.stderr.strip()}; afterwards {'all is there' if check.returncode == 0 else check.stdout}")
        return first.returncode == 0 and second.returncode == 3 and check.returncode == 0
    finally:
        disk.close()


def full_disk(disk):
    filler = disk.mount / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(1 << 16))
        except OSError:
            pass
    return filler.unlink


def read_only(disk):
    call("mount", "-o", "remount,ro", disk.mount)
    return lambda: call("mount", "-o", "remount,rw", disk.mount)


def main():
    if os.geteuid() != 0:
        skip("mounting needs root")
    commits = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    fine = True
    with tempfile.TemporaryDirectory() as name:
        for number, job in enumerate([lambda p: measure(p, sys.argv[1], commits),
                                      lambda p: refused(p, sys.argv[1], 8, full_disk),
                                      lambda p: refused(p, sys.argv[1], 16, read_only)]):
            place = pathlib.Path(name) / str(number)
            place.mkdir()
            fine = job(place) and fine
    sys.exit(not fine)


if __name__ == "__main__":
    main()

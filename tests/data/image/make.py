#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the JPEG files beside it: one synthetic picture in several codings, by cjpeg (libjpeg-turbo).

The files are committed, and test_image_golden.c pins what they decode to: a new encoder must not change them.
"""
import math
import pathlib
import subprocess

WIDTH, HEIGHT = 160, 112
FOLDER = pathlib.Path(__file__).parent


def picture():
    """A colour ramp, a few discs and fine stripes: flat areas, edges and detail. The corners all differ."""
    rows = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            r, g, b = x * 255 // WIDTH, y * 255 // HEIGHT, 255 - (x + y) * 255 // (WIDTH + HEIGHT)
            if math.hypot(x - 45, y - 40) < 25:
                r, g, b = 230, 40, 30
            if math.hypot(x - 110, y - 70) < 30:
                r, g, b = 20, 60, 200 - x
            if 20 < x < 70 and 80 < y < 100:
                r = g = b = 255 * (x // 2 % 2)
            rows += bytes((r, g, b))
    return b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + rows


def encode(*options):
    return subprocess.run(["cjpeg", "-quality", "80", *options], input=picture(),
                          stdout=subprocess.PIPE, check=True).stdout


def with_orientation(jpeg, orientation):
    exif = (b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"
            + bytes((orientation, 0, 0, 0)) + b"\0\0\0\0")
    return jpeg[:2] + exif + jpeg[2:]


def main():
    plain = encode("-sample", "2x2")
    files = {
        "ycc420.jpg": plain,
        "ycc422.jpg": encode("-sample", "2x1"),
        "ycc444.jpg": encode("-sample", "1x1"),
        "grey.jpg": encode("-grayscale"),
        "rgb.jpg": encode("-rgb"),
        "progressive.jpg": encode("-progressive"),
        "arithmetic.jpg": encode("-arithmetic"),
        "restart.jpg": encode("-restart", "3B"),
        "orientation6.jpg": with_orientation(plain, 6),
        "truncated.jpg": plain[: len(plain) * 2 // 3],
    }
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()

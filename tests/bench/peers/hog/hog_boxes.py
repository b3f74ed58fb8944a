#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""OpenCV's HOG people detector over a folder of JPEG frames -> a table of boxes for `ocellus-lab scan --compare`.

Usage: hog_boxes.py FRAMES BOXES.csv [EXPOSURE]

One thread, window stride 8, padding 16, scale 1.05, and OpenCV's grouping of windows with a threshold of 1, which did better than
2 and than none; of the boxes that are left the surest come first, and any that overlaps one of them by more than 0.4 is
dropped, as ours are. EXPOSURE multiplies the linear light of the frames, clips it at white
and rounds to 8-bit sRGB, which is what a camera without exposure control would deliver.
"""
import pathlib
import sys
import time

import cv2
import numpy

STRIDE, PADDING, SCALE, GROUP, HIT_THRESHOLD, OVERLAP, BOXES_MAX = 8, 16, 1.05, 1, -0.3, 0.4, 64


def exposure_table(exposure):
    """8-bit sRGB -> 8-bit sRGB under other light (IEC 61966-2-1)."""
    value = numpy.arange(256) / 255
    linear = numpy.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = numpy.minimum(linear * exposure, 1)
    value = numpy.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return numpy.rint(value * 255).astype(numpy.uint8)


def suppress(boxes, scores):
    """The surest first; those that overlap a taken one by more than OVERLAP are dropped."""
    taken = []
    areas = boxes[:, 2] * boxes[:, 3]
    for i in numpy.argsort(-scores, kind="stable"):
        if taken:
            others = boxes[taken]
            ends = numpy.minimum(boxes[i, :2] + boxes[i, 2:], others[:, :2] + others[:, 2:])
            both = numpy.maximum(ends - numpy.maximum(boxes[i, :2], others[:, :2]), 0).prod(axis=1)
            if (both / (areas[i] + areas[taken] - both)).max() > OVERLAP:
                continue
        taken.append(i)
        if len(taken) == BOXES_MAX:
            break
    return taken


def main():
    frames, table = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    exposure = exposure_table(float(sys.argv[3])) if len(sys.argv) > 3 else None
    cv2.setNumThreads(1)
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    names = sorted(path for path in frames.iterdir() if path.suffix in (".jpg", ".jpeg"))
    seconds = 0.0
    with open(table, "w", encoding="ascii") as out:
        out.write("frame,x,y,width,height,score\n")
        for path in names:
            data = numpy.frombuffer(path.read_bytes(), numpy.uint8)
            start = time.process_time()
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if exposure is not None:
                picture = cv2.LUT(picture, exposure)
            boxes, scores = hog.detectMultiScale(picture, hitThreshold=HIT_THRESHOLD, winStride=(STRIDE, STRIDE),
                                                 padding=(PADDING, PADDING), scale=SCALE, groupThreshold=GROUP)
            boxes, scores = numpy.asarray(boxes, float).reshape(-1, 4), numpy.asarray(scores, float).ravel()
            taken = suppress(boxes, scores)
            seconds += time.process_time() - start
            for i in taken:
                out.write(f"{path.name},{','.join(f'{value:.0f}' for value in boxes[i])},{scores[i]:.5f}\n")
    print(f"HOG, {len(names)} frames, seconds of processor time: {seconds:.3f}")


if __name__ == "__main__":
    main()

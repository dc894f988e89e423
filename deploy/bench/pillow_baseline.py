#!/usr/bin/env python3
"""Decode, resize, crop and normalise a folder's images with Pillow and NumPy, as CLIP's preprocessing does it: what `p4q bench preprocess` races.

pillow_baseline.py FOLDER [SECONDS]     prints a JSON object with images_per_second of one core
"""
import glob, io, json, sys, time

import numpy as np
from PIL import Image

if len(sys.argv) < 2:
    sys.exit(__doc__)
files = [open(f, "rb").read() for f in sorted(glob.glob(sys.argv[1] + "/*")) if f.lower().endswith((".jpg", ".jpeg", ".png"))]
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def whole(data):
    im = Image.open(io.BytesIO(data)).convert("RGB")
    w, h = im.size
    w, h = (224, 224 * h // w) if w <= h else (224 * w // h, 224)
    im = im.resize((w, h), Image.BICUBIC)
    left, top = (w - 224) // 2, (h - 224) // 2
    a = np.asarray(im.crop((left, top, left + 224, top + 224)), np.float32)
    return ((a / 255 - mean) / std).transpose(2, 0, 1)


def rate(step):
    best = []
    end = time.perf_counter() + seconds / 2
    while time.perf_counter() < end or not best:
        start = time.perf_counter()
        for data in files:
            step(data)
        best.append((time.perf_counter() - start) / len(files))
    return 1 / sorted(best)[len(best) // 2]


print(json.dumps({"images_per_second": round(rate(whole), 2), "decode_images_per_second": round(rate(lambda d: Image.open(io.BytesIO(d)).convert("RGB")), 2)}))

"""Precision, recall, density and coverage as the prdc package computes them: scikit-learn's full matrices of distances, compared with '<'.

    python3 bench/prdc.py make FILE ROWS [WIDTH]    random features into a .safetensors file
    python3 bench/prdc.py run FILE [K]              seconds, peak memory and the four figures
"""
import json
import resource
import struct
import sys
import time

import numpy as np


def make(path, rows, width):
    random = np.random.default_rng(1)
    mixing = random.standard_normal((min(64, width), width), dtype=np.float32)
    tables = {}
    for name, shift in (("real", 0.0), ("fake", 0.1)):
        table = np.empty((rows, width), np.float32)
        for start in range(0, rows, 1000):
            count = min(1000, rows - start)
            hidden = random.standard_normal((count, mixing.shape[0]), dtype=np.float32) + np.float32(shift)
            noise = random.standard_normal((count, width), dtype=np.float32)
            table[start:start + count] = np.maximum(hidden @ mixing * 0.05 + noise * 0.2 + 0.3, 0)
        tables[name] = table
    header, offset = {}, 0
    for name, table in tables.items():
        header[name] = {"dtype": "F32", "shape": list(table.shape), "data_offsets": [offset, offset + table.nbytes]}
        offset += table.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for table in tables.values():
            table.tofile(file)


def read(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    tables = {}
    for name, entry in header.items():
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        tables[name] = np.fromfile(path, np.float32, (end - begin) // 4, offset=8 + size + begin).reshape(shape)
    return tables["real"], tables["fake"]


def run(path, k):
    from sklearn.metrics import pairwise_distances

    real, fake = read(path)
    begin = time.perf_counter()

    def distances(a, b):
        return pairwise_distances(a, b, metric="euclidean", n_jobs=2)

    def radii(table):
        return np.partition(distances(table, table), k, axis=-1)[:, k]

    real_radii, fake_radii = radii(real), radii(fake)
    across = distances(real, fake)
    inside = across < real_radii[:, None]
    figures = {
        "precision": inside.any(axis=0).mean(),
        "recall": (across < fake_radii[None, :]).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / k,
        "coverage": (across.min(axis=1) < real_radii).mean(),
    }
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(fake)} x {len(real)} rows of {real.shape[1]}, k {k}: {seconds:.2f} s; peak {peak} MiB")
    print("  ".join(f"{name} {float(value)!r}" for name, value in figures.items()))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 2048)
    else:
        run(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)

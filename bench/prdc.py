"""Precision, recall, density and coverage as the prdc package computes them: scikit-learn's full matrices of distances, compared with '<'.

    python3 bench/prdc.py make FILE ROWS [WIDTH]    random features into a .safetensors file
    python3 bench/prdc.py run FILE [K]              seconds, peak memory and the four figures
"""
import resource
import sys
import time

import numpy as np

from safetensors_files import read, write


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
    write(path, tables)


def run(path, k):
    from sklearn.metrics import pairwise_distances

    tables = read(path)
    real, fake = tables["real"], tables["fake"]
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

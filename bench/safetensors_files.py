"""Reads and writes safetensors files with NumPy, for machines without the safetensors package."""
import json
import struct

import numpy as np

KINDS = {"float32": "F32", "int64": "I64"}


def write(path, arrays):
    """Writes arrays by name."""
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": KINDS[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            np.ascontiguousarray(array).tofile(file)


def read(path):
    """Float32 arrays by name, one at a time from the file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            arrays[name] = np.fromfile(path, np.float32, (end - begin) // 4, offset=8 + size + begin).reshape(entry["shape"])
    return arrays

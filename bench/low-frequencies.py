"""Low frequencies of samples and of estimates, with NumPy, Pillow and 'retouch probe'.

    python3 bench/low-frequencies.py exchange LOW HIGH OUTPUT [SIGMA]
        pictures with the frequencies of those in LOW below a Gaussian of SIGMA pixels (default: 8) and those of the pictures of the same
        name in HIGH above it
    python3 bench/low-frequencies.py bias AUTOENCODER PICTURES MODEL...
        mean error of the estimates of class-conditional models with a DDPM schedule, by noise level and latent channel, on 200 pictures in
        subfolders by class; AUTOENCODER is an AutoencoderTiny, RETOUCH the launcher (default: ./retouch)
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

COUNT, STEPS = 200, (100, 300, 450, 600, 800, 960)


def blurred(image, sigma):
    radius = int(3 * sigma)
    kernel = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma ** 2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        widths = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(image, widths, mode="symmetric")
        image = np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")
    return image


def exchange(low, high, output, sigma):
    os.makedirs(output)
    for name in sorted(os.listdir(low)):
        if not name.endswith(".png"):
            continue
        a, b = (np.asarray(Image.open(os.path.join(folder, name)).convert("RGB")) / 255.0 for folder in (low, high))
        mixed = blurred(a, sigma) + b - blurred(b, sigma)
        Image.fromarray((mixed.clip(0, 1) * 255).round().astype(np.uint8)).save(os.path.join(output, name))


def write(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(tensor.dtype)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).tobytes())


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if entry["dtype"] == "F32"
    }


def probe(model, inputs):
    with tempfile.TemporaryDirectory() as folder:
        source, result = os.path.join(folder, "in"), os.path.join(folder, "out")
        write(source, {f"in.{name}": tensor for name, tensor in inputs.items()})
        command = [os.environ.get("RETOUCH", "./retouch"), "probe", "--model", model, "--inputs", source, "--output", result]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return read(result)


def pictures(folder, random):
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    files = [(os.path.join(folder, c, f), k) for k, c in enumerate(classes) for f in sorted(os.listdir(os.path.join(folder, c)))]
    images, labels = [], []
    for k in random.choice(len(files), COUNT, replace=False):
        image = Image.open(files[k][0]).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((64, 64), Image.LANCZOS)
        images.append(np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1)
        labels.append(files[k][1])
    return np.stack(images), np.array(labels, np.int64)


def bias(autoencoder, folder, models):
    random = np.random.default_rng(0)
    images, labels = pictures(folder, random)
    clean = probe(autoencoder, {"image": images})["out.latents"]
    noise = random.standard_normal(clean.shape, dtype=np.float32)
    print("mean of the latents:", *(f"{m:+.3f}" for m in clean.mean((0, 2, 3))))
    print("| noise level | model | mean error by channel | squared error |\n|---|---|---|---|")
    for step in STEPS:
        for model in models:
            with open(os.path.join(model, "scheduler", "scheduler_config.json"), encoding="utf-8") as file:
                config = json.load(file)
            betas = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, config["num_train_timesteps"]) ** 2
            kept = np.cumprod(1 - betas)[step]
            a, b = np.float32(kept ** 0.5), np.float32((1 - kept) ** 0.5)
            noisy = a * clean + b * noise
            times = np.full(COUNT, step, np.int64)
            outputs = probe(os.path.join(model, "transformer"), {"sample": noisy, "timestep": times, "class_labels": labels})
            predicted = next(v for k, v in outputs.items() if k.startswith("out."))[:, : clean.shape[1]]
            estimate = (noisy - b * predicted) / a if config["prediction_type"] == "epsilon" else a * noisy - b * predicted
            error = estimate - clean
            means = " ".join(f"{m:+.3f}" for m in error.mean((0, 2, 3)))
            print(f"| {b / a:.2f} | {model} | {means} | {(error ** 2).mean():.4f} |", flush=True)


if __name__ == "__main__":
    arguments = sys.argv[2:]
    if sys.argv[1:2] == ["exchange"] and len(arguments) in (3, 4):
        exchange(*arguments[:3], float(arguments[3]) if len(arguments) == 4 else 8.0)
    elif sys.argv[1:2] == ["bias"] and len(arguments) >= 3:
        bias(arguments[0], arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)

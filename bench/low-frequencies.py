"""Low frequencies and colours of samples and of estimates, with NumPy, Pillow and 'retouch probe'.

    python3 bench/low-frequencies.py exchange LOW HIGH OUTPUT [SIGMA]
        pictures with the frequencies of those in LOW below a Gaussian of SIGMA pixels (default: 8) and those of the pictures of the same
        name in HIGH above it
    python3 bench/low-frequencies.py bias AUTOENCODER PICTURES MODEL...
        mean error of the estimates of class-conditional models with a DDPM schedule, by noise level and latent channel, on 200 pictures in
        subfolders by class, and the amplitude of their high frequencies (from 2 of the DCT): sum of ẑ² over sum of ẑ·z, 1 for a mean
    python3 bench/low-frequencies.py switch AUTOENCODER BELOW ABOVE OUTPUT [SIGMA]
        250 samples (50 DDIM steps, guidance 1.5) of two such models that predict noise: ABOVE at noise levels from SIGMA (default: 3),
        then BELOW
    python3 bench/low-frequencies.py detail AUTOENCODER PICTURES
        saturation of 200 decoded pictures when the high frequencies of their latents (from 2 of the DCT) are scaled, or have random
        signs, and the standard deviation of these frequencies, by channel

AUTOENCODER is an AutoencoderTiny, RETOUCH the launcher (default: ./retouch).
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from safetensors_files import read, write

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


def probe(model, inputs):
    with tempfile.TemporaryDirectory() as folder:
        source, result = os.path.join(folder, "in"), os.path.join(folder, "out")
        write(source, {f"in.{name}": tensor for name, tensor in inputs.items()})
        command = [os.environ.get("RETOUCH", "./retouch"), "probe", "--model", model, "--inputs", source, "--output", result]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return read(result)


def pictures(folder, random):
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()) or ["."]
    files = [
        (os.path.join(folder, c, f), k)
        for k, c in enumerate(classes)
        for f in sorted(os.listdir(os.path.join(folder, c)))
        if f.endswith((".png", ".jpg"))
    ]
    images, labels = [], []
    for k in random.choice(len(files), COUNT, replace=False):
        image = Image.open(files[k][0]).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((64, 64), Image.LANCZOS)
        images.append(np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1)
        labels.append(files[k][1])
    return np.stack(images), np.array(labels, np.int64)


def cosines(n):
    k, x = np.arange(n)[:, None], np.arange(n)[None]
    basis = np.sqrt(2 / n) * np.cos(np.pi * (2 * x + 1) * k / (2 * n))
    basis[0] /= np.sqrt(2)
    return basis


def frequencies_of(latents):
    basis = cosines(latents.shape[2])
    return np.einsum("ki,ncij,lj->nckl", basis, latents, basis)


def are_high(side):
    order = np.arange(side)
    return np.maximum(order[:, None], order[None]) >= 2


def high_frequencies(latents):
    return frequencies_of(latents)[..., are_high(latents.shape[2])]


def config_of(model, part, file):
    with open(os.path.join(model, part, file), encoding="utf-8") as text:
        return json.load(text)


def kept_signal(scheduler):
    """Part of the signal's variance that is kept at each step."""
    ends = scheduler["beta_start"] ** 0.5, scheduler["beta_end"] ** 0.5
    return np.cumprod(1 - np.linspace(*ends, scheduler["num_train_timesteps"]) ** 2)


def predict(model, noisy, step, labels):
    inputs = {"sample": noisy, "timestep": np.full(len(labels), step, np.int64), "class_labels": labels}
    outputs = probe(os.path.join(model, "transformer"), inputs)
    return next(v for k, v in outputs.items() if k.startswith("out."))[:, : noisy.shape[1]]


def bias(autoencoder, folder, models):
    random = np.random.default_rng(0)
    images, labels = pictures(folder, random)
    clean = probe(autoencoder, {"image": images})["out.latents"]
    noise = random.standard_normal(clean.shape, dtype=np.float32)
    print("mean of the latents:", *(f"{m:+.3f}" for m in clean.mean((0, 2, 3))))
    print("| noise level | model | mean error by channel | squared error | amplitude |\n|---|---|---|---|---|")
    true = high_frequencies(clean)
    for step in STEPS:
        for model in models:
            config = config_of(model, "scheduler", "scheduler_config.json")
            kept = kept_signal(config)[step]
            a, b = np.float32(kept ** 0.5), np.float32((1 - kept) ** 0.5)
            noisy = a * clean + b * noise
            predicted = predict(model, noisy, step, labels)
            estimate = (noisy - b * predicted) / a if config["prediction_type"] == "epsilon" else a * noisy - b * predicted
            error = estimate - clean
            means = " ".join(f"{m:+.3f}" for m in error.mean((0, 2, 3)))
            guess = high_frequencies(estimate)
            amplitude = (guess**2).sum() / (guess * true).sum()
            print(f"| {b / a:.2f} | {model} | {means} | {(error ** 2).mean():.4f} | {amplitude:.3f} |", flush=True)


def switch(autoencoder, below, above, output, sigma):
    count, steps, guidance = 250, 50, 1.5
    kept = kept_signal(config_of(below, "scheduler", "scheduler_config.json"))
    network = config_of(below, "transformer", "config.json")
    side, channels, classes = network["sample_size"], network["in_channels"], network["num_embeds_ada_norm"]
    x = np.random.default_rng(7).standard_normal((count, channels, side, side), dtype=np.float32)
    labels = np.arange(count, dtype=np.int64) % classes
    both = np.concatenate([labels, np.full_like(labels, classes)])
    stride = len(kept) // steps
    for step in range((steps - 1) * stride + 1, 0, -stride):
        a, previous = kept[step], kept[max(step - stride, 0)]
        model = below if ((1 - a) / a) ** 0.5 < sigma else above
        with_class, without = np.split(predict(model, np.concatenate([x, x]), step, both), 2)
        noise = without + np.float32(guidance) * (with_class - without)
        estimate = (x - (1 - a) ** 0.5 * noise) / a**0.5
        x = (previous**0.5 * estimate + (1 - previous) ** 0.5 * noise).astype(np.float32)
    os.makedirs(output)
    decoded = probe(autoencoder, {"latent": x})["out.decoded"].transpose(0, 2, 3, 1)
    for k, image in enumerate(((decoded / 2 + 0.5).clip(0, 1) * 255).round().astype(np.uint8)):
        Image.fromarray(image).save(os.path.join(output, f"{k:06d}.png"))


def saturation(decoded):
    image = (decoded / 2 + 0.5).clip(0, 1)
    mean = image.mean((2, 3))
    return (image.max(1) - image.min(1)).mean(), (mean.max(1) - mean.min(1)).mean()


def detail(autoencoder, folder):
    random = np.random.default_rng(0)
    images, _ = pictures(folder, random)
    clean = probe(autoencoder, {"image": images})["out.latents"]
    basis = cosines(clean.shape[2])
    frequencies, high = frequencies_of(clean), are_high(clean.shape[2])
    signs = random.integers(0, 2, clean.shape) * 2 - 1
    print("standard deviation of the high frequencies:", *(f"{d:.3f}" for d in frequencies[..., high].std((0, 2))))
    print("| high frequencies | scale | saturation | saturation of the mean colour |\n|---|---|---|---|")
    for name, factor in (("as they are", np.ones(clean.shape)), ("random signs", signs)):
        for scale in (0, 0.5, 0.75, 1, 1.15):
            changed = np.where(high, scale * factor * frequencies, frequencies)
            latent = np.einsum("ki,nckl,lj->ncij", basis, changed, basis).astype(np.float32)
            both = saturation(probe(autoencoder, {"latent": latent})["out.decoded"])
            print(f"| {name} | {scale} | {both[0]:.4f} | {both[1]:.4f} |", flush=True)


if __name__ == "__main__":
    arguments = sys.argv[2:]
    if sys.argv[1:2] == ["exchange"] and len(arguments) in (3, 4):
        exchange(*arguments[:3], float(arguments[3]) if len(arguments) == 4 else 8.0)
    elif sys.argv[1:2] == ["bias"] and len(arguments) >= 3:
        bias(arguments[0], arguments[1], arguments[2:])
    elif sys.argv[1:2] == ["switch"] and len(arguments) in (4, 5):
        switch(*arguments[:4], float(arguments[4]) if len(arguments) == 5 else 3.0)
    elif sys.argv[1:2] == ["detail"] and len(arguments) == 2:
        detail(*arguments)
    else:
        sys.exit(__doc__)

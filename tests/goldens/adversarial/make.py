"""Writes io.safetensors: the adversarial term of an autoencoder's loss, with PyTorch's own layers and autograd.

A decoder's last layer makes the reconstruction from features. The total is L1 + weight * factor * adversarial, with Esser et al.'s factor:
the ratio of the gradients' norms at the last layer. The discriminator has one layer with stride 2 (the convolutions 0, 1 and 2).

    python3 make.py
"""

import torch
from safetensors.torch import save_file

torch.manual_seed(5)
WEIGHT = 0.5
CHANNELS = 8

discriminator = torch.nn.Sequential(
    torch.nn.Conv2d(3, CHANNELS, 4, stride=2, padding=1),
    torch.nn.LeakyReLU(0.2),
    torch.nn.Conv2d(CHANNELS, 2 * CHANNELS, 4, stride=1, padding=1, bias=False),
    torch.nn.GroupNorm(8, 2 * CHANNELS, eps=1e-5),
    torch.nn.LeakyReLU(0.2),
    torch.nn.Conv2d(2 * CHANNELS, 1, 4, stride=1, padding=1),
)
keys = {"0": "0", "2": "1.conv", "3": "1.norm", "5": "2"}
with torch.no_grad():
    for parameter in discriminator.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
images = torch.rand(2, 3, 16, 16) * 2 - 1
features = torch.randn(2, 4, 16, 16, requires_grad=True)
last = torch.nn.Conv2d(4, 3, 3, padding=1)
named = {keys[name.split(".")[0]] + "." + name.split(".")[1]: p for name, p in discriminator.named_parameters()}
tensors = {"in." + name: p.detach().clone() for name, p in named.items()}
tensors |= {"in.images": images, "in.features": features.detach().clone(), "in.last": last.weight.detach().clone(), "in.bias": last.bias.detach().clone()}

decoded = last(features)
others = (decoded - images).abs().mean()
deception = -discriminator(decoded).mean()
norms = [torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for loss in (others, deception)]
factor = (norms[0] / (norms[1] + 1e-4)).clamp(0, 1e4).detach()
total = others + WEIGHT * factor * deception
tensors["out.deception"] = deception.detach()
tensors["out.factor"] = factor
tensors["out.total"] = total.detach()
tensors["out.gradient"] = torch.autograd.grad(total, features)[0]

optimiser = torch.optim.AdamW(discriminator.parameters(), lr=1e-2, betas=(0.5, 0.9), eps=1e-8, weight_decay=0)
losses = []
for _ in range(3):
    optimiser.zero_grad()
    real, made = discriminator(images), discriminator(decoded.detach())
    loss = (torch.relu(1 - real).mean() + torch.relu(1 + made).mean()) / 2
    loss.backward()
    optimiser.step()
    losses.append(loss.detach())
tensors["out.losses"] = torch.stack(losses)
tensors |= {"out.trained." + name: p.detach() for name, p in named.items()}
save_file({name: t.detach().contiguous().clone() for name, t in tensors.items()}, "io.safetensors")

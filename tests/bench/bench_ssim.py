"""Loss of a picture forward and backward at 960x540: kernel beside torch's conv2d, CPU time."""

from __future__ import annotations

import time

import torch
from timing import median_ms

from gspc.ops.kernels import kernels as load
from gspc.ops.ssim import definition, picture_loss

HEIGHT, WIDTH, WEIGHT = 540, 960, 0.2


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    photo = torch.rand(HEIGHT, WIDTH, 3)
    target = (photo * 255).to(torch.uint8)
    image = (photo + 0.1 * torch.randn(HEIGHT, WIDTH, 3)).requires_grad_()

    def by_kernel() -> None:
        picture_loss(image, target, WEIGHT, root=True)[0].backward()

    def by_torch() -> None:
        definition.picture_loss(image, target, WEIGHT, root=True)[0].backward()

    label = f"ssim {WIDTH}x{HEIGHT} fwd+bwd 1 thread"
    baseline = median_ms(by_torch, 5, time.process_time)
    print(f"{label} torch conv2d {baseline:8.1f} ms cpu")
    kernels = load()
    kernels.set_threads(1)
    levels = ("base", "v3", "v4")
    for isa in levels[: levels.index(kernels.supported_isa()) + 1]:
        kernels.set_isa(isa)
        found = median_ms(by_kernel, 15, time.process_time)
        print(f"{label} {isa:4} {found:8.1f} ms cpu, {baseline / found:.0f} x torch")


if __name__ == "__main__":
    main()

"""Images per second of a training step for every method, measured in turns in one process.

    make bench                                    # or: python benchmarks/step.py --depth 12 --width 384 --image 224

Ratios between rows of one run mean something; the absolute figures are this machine's, at this moment.
"""

import argparse
import statistics
import time

import torch

from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM, Method
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.training import measure_cost

METHODS = {
    "mae": (MAE, PixelTarget),
    "deepmim": (DeepMIM, PixelTarget),
    "localmim": (LocalMIM, HOGTarget),
    "mirl": (MIRL, PixelTarget),
}


def build(name: str, arguments: argparse.Namespace) -> Method:
    """A method with decoders of one size for all."""
    kind, target = METHODS[name]
    encoder = vit(arguments.image, arguments.patch, arguments.width, arguments.depth, arguments.heads)
    return kind(encoder, RandomMasker(), target, dim=arguments.dim, num_blocks=1, num_heads=4)


def seconds(method: Method, images: torch.Tensor) -> float:
    """One step: forward, backward, optimiser."""
    optimizer = method.recipe.optimizer(method, len(images))
    begin = time.perf_counter()
    method(images).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Prints one row per method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, value in {"image": 32, "patch": 8, "width": 96, "depth": 4, "heads": 4, "dim": 64, "batch": 256}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = torch.randn(arguments.batch, 3, arguments.image, arguments.image, device=device)
    methods = {name: build(name, arguments).to(device) for name in METHODS}
    times: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(arguments.rounds + 1):
        for name, method in methods.items():
            elapsed = seconds(method, images)
            if turn:  # the first round warms up
                times[name].append(elapsed)
    print(f"{'method':<10}{'images/s':>10}{'GFLOP/s':>10}{'of MAE':>10}")
    base = statistics.median(times["mae"])
    for name, method in methods.items():
        median = statistics.median(times[name])
        rate = arguments.batch / median
        flops = rate * measure_cost(method, arguments.image).training_flops / 1e9
        print(f"{name:<10}{rate:>10.0f}{flops:>10.1f}{base / median:>10.2f}")


if __name__ == "__main__":
    main()

"""Speed of training and judging: `python -m benchmarks.train`.

A step of Deep-STaR at the images' own size against its canvas, predict against the bare network, and the
bootstrap of the judge. Prints a line a claim and writes benchmarks/results/train.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import run_side
from benchmarks.planar import alternately, cube_of, machine, rounded, spread
from benchmarks.stores import write_store
from sits_data.bands import DEFAULT_BANDS
from sits_data.cube import open_raw
from sits_data.manifest import LabelClass
from sits_models.bench.intervals import difference, interval, sums_by_block
from sits_models.bench.metrics import mean_f1
from sits_models.checkpoint import ModelCard, load_backbone, load_head, save_checkpoint
from sits_models.data.normalisation import Normalisation
from sits_models.data.residence import open_table
from sits_models.data.windows import Windows
from sits_models.ops.gather import planar_batch
from sits_models.ops.walks import random_walks
from sits_models.predict import predict
from sits_models.predict.strips import CURVE, StripReader, strips_of
from sits_models.registry import create

Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["step", "predict", "memory", "judge"])
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    rows: dict[str, Row] = {}
    for name, (claim, measure) in {
        "step": (
            "Deep-STaR, seconds of a step on the canvas / at its own size (reach 5)",
            lambda: steps(work, arguments.runs),
        ),
        "predict": (
            "predict / bare forward of the same windows, CPU (reach 1.25)",
            lambda: predicting(work, arguments.runs),
        ),
        "memory": (
            "peak memory of predict above its imports, 2048² over 512² pixels (reach 1.2)",
            lambda: memory(work),
        ),
        "judge": (
            "seconds of 1 000 bootstrap draws over 100 000 predictions (reach 10)",
            lambda: judging(arguments.runs),
        ),
    }.items():
        if arguments.only in (None, name):
            rows[claim] = measure()
            print(f"{claim}: {rows[claim]}", flush=True)
    if arguments.only is None:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        (folder / "train.json").write_text(
            json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
        )


def steps(work: Path, runs: int, *, size: int = 32) -> Row:
    """A step on 32 walks of 50 pixels, 36 dates, 10 bands: recipes `cviu2021` and `deepstar`."""
    store = work / "models-4000.planar"
    write_store(store, regions=4000)
    table = open_table(store, resident="always")
    regions = torch.arange(size)
    index = random_walks(table, regions, length=50, run=0, epoch=0, view=0)[:, 0]
    batch = planar_batch(table, regions, index, normalisation=_normalisation())

    def step(name: str, **arguments: object) -> Callable[[], float]:
        torch.manual_seed(0)
        network = create("backbones", name, in_channels=10, **arguments).train()
        head = torch.nn.Linear(network.embed_dim, 10)
        optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-4)

        def once() -> float:
            began = time.perf_counter()
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(head(network(batch).embedding), batch["label"])
            loss.backward()
            optimizer.step()
            return time.perf_counter() - began

        return once

    canvas, native = alternately(
        [step("deepstar_cviu2021", bands=[6, 2, 1]), step("timm_resnet18")], runs
    )
    ratios = [slow / fast for slow, fast in zip(canvas, native, strict=True)]
    return spread(ratios) | {
        "canvas_s": rounded(statistics.median(canvas)), "own_size_s": rounded(statistics.median(native))
    }  # fmt: skip


def predicting(work: Path, runs: int) -> Row:
    """A map of 252² pixels, 36 dates, 10 bands by `planar_vit_nano`, against its forward alone."""
    cube, run = cube_of(work, 256), classifier(work)
    backbone, head, raw = load_backbone(run), load_head(run), open_raw(cube)
    (strip,) = list(strips_of(raw, chip_px=32))
    with ThreadPoolExecutor(2) as pool:
        table = StripReader(raw, mask="standard", pool=pool).read(strip)
    everybody = torch.arange(len(table))
    batches = [
        shown.batch
        for shift in (0, 32)
        for shown in Windows(table, everybody, "curve", CURVE, 64, 64, _normalisation(), "cpu", shift)
    ]

    def bare() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                head(backbone(batch).pixels.float()).softmax(-1)
        return time.perf_counter() - began

    def whole() -> float:
        began = time.perf_counter()
        predict(run, cube, work / "map.tif", device="cpu", overwrite=True)
        return time.perf_counter() - began

    mapped, forward = alternately([whole, bare], runs)
    ratios = [one / other for one, other in zip(mapped, forward, strict=True)]
    return spread(ratios) | {
        "predict_s": rounded(statistics.median(mapped)), "bare_s": rounded(statistics.median(forward))
    }  # fmt: skip


def memory(work: Path) -> Row:
    """Maps of 510² and 2046² pixels, 36 dates and 10 bands by `planar_vit_nano`, a process each."""
    run = str(classifier(work))
    imports = run_side("predict_imports", {}).peak_mb
    above: dict[int, float] = {}
    for side in (512, 2048):
        settings = {"checkpoint": run, "cube": str(cube_of(work, side)), "out": str(work / "large.tif")}
        above[side] = run_side("predict", settings).peak_mb - imports
    return {
        "ratio": rounded(above[2048] / above[512]),
        "mb_512": round(above[512]), "mb_2048": round(above[2048]), "mb_imports": round(imports),
    }  # fmt: skip


def classifier(work: Path) -> Path:
    """`planar_vit_nano` with random weights, for 10 classes."""
    run = work / "classifier"
    if not (run / "card.json").exists():
        torch.manual_seed(0)
        backbone = create("backbones", "planar_vit_nano", in_channels=10)
        classes = tuple(LabelClass(code=k, name=f"{k}", colour="#808080") for k in range(10))
        card = ModelCard(
            kind="classifier", classes=classes, backbone="planar_vit_nano",
            backbone_arguments={"in_channels": 10}, bands=DEFAULT_BANDS, resolution_m=10,
            mask="standard", normalisation=_normalisation(), views={"length": 64},
        )  # fmt: skip
        save_checkpoint(run, backbone, card, torch.nn.Linear(96, 10))
    return run


def judging(runs: int) -> Row:
    """Two models on 100 000 samples of 10 classes, in 200 blocks and each sample its own block."""
    draws = np.random.default_rng(0)
    true = draws.integers(0, 10, 100_000)
    named = [np.where(draws.random(len(true)) < right, true, draws.integers(0, 10, len(true)))
             for right in (0.8, 0.75)]  # fmt: skip
    found: Row = {}
    for blocks in (200, 100_000):
        block = np.arange(len(true)) * blocks // len(true)

        def work(block: "np.ndarray[tuple[int], np.dtype[np.int64]]" = block) -> float:
            began = time.perf_counter()
            one, other = (sums_by_block(block, true, said, 10)[None] for said in named)
            interval(one, mean_f1, seed=0)
            difference(one, other, mean_f1, seed=0)
            return time.perf_counter() - began

        found[f"{blocks} blocks"] = spread(alternately([work], runs)[0])
    return found


def _normalisation() -> Normalisation:
    return Normalisation(bands=DEFAULT_BANDS, low=(0.0,) * 10, high=(0.5,) * 10)


if __name__ == "__main__":
    main()

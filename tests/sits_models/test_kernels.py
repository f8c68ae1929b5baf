"""The Triton kernels: interpreted on a CPU, compiled for GPUs from afar, run where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton")

SCRIPT = Path(__file__).with_name("kernels_by_hand.py")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_interpreted_they_are_what_they_stand_in_for(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, str(seed), "cpu"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("seed", range(10))
def test_on_a_gpu_they_are_what_they_stand_in_for(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, str(seed), "cuda"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


GATHER = {
    **dict.fromkeys(("first", "dated", "index", "times"), "*i64"),
    **dict.fromkeys(("gain", "bias", "image"), "*fp32"),
    **dict.fromkeys(("length", "dates", "unclear_bits"), "i32"),
    "pixels": "*i16", "qa": "*u8", "clear": "*u8",
}  # fmt: skip
WALK = {
    **dict.fromkeys(("beside", "degree", "bounds"), "*i32"),
    **dict.fromkeys(("start", "region", "view", "rows"), "*i64"),
    **dict.fromkeys(("count", "walks", "length"), "i32"),
    "run": "i64", "epoch": "i64",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("name", "types", "constants"),
    [
        ("_decode", GATHER, {"BANDS": 10, "WIDTH": 16, "DATES": 4, "POSITIONS": 32}),
        ("_walk", WALK, {"NEAR": 8, "WEIGHED": False, "BACKTRACK": True, "WALKS": 256}),
        ("_walk", WALK, {"NEAR": 4, "WEIGHED": True, "BACKTRACK": False, "WALKS": 256}),
    ],
)
def test_they_compile_to_machine_code_without_a_gpu(
    name: str, types: dict[str, str], constants: dict[str, object], capability: int
) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from sits_models.ops import kernels

    function = getattr(kernels, name)
    assert set(function.arg_names) == set(types) | set(constants)
    signature = {one: types.get(one, "constexpr") for one in function.arg_names}
    source = ASTSource(function, signature=signature, constexprs=constants)
    target = GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"enable_fp_fusion": False})
    assert len(compiled.asm["cubin"]) > 1000

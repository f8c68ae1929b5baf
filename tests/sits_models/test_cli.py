import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "sits-models"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_sample_prints_every_tensor(parcels: Path) -> None:
    done = run("sample", parcels, "--region", 2, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows["image"]["shape"][:2] == [4, 16]
    assert rows["image"]["dtype"] == "float32"
    assert set(rows) == {"image", "dates", "clear", "index", "yx", "region", "label"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample", "nothing.planar"], 1, "not a planar store"),
        (["sample"], 2, "Missing argument"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_region_beyond_the_last_is_a_usage_error(parcels: Path) -> None:
    done = run("sample", parcels, "--region", 100000)
    assert done.returncode == 2
    assert "the store has regions 0 to" in done.stderr


def test_importing_does_not_load_torch() -> None:
    code = "import sys, sits_models, sits_models.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SAYS = {
    "01_field_to_planar.py": "scatter(gather(x)) == x",
    "02_store_to_map.py": "report.html",
}


def test_all_examples_are_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("script", SAYS)
def test_example_runs(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert SAYS[script] in done.stdout


FIGURES = {
    "planar_images.py": {"planar-scenes.png", "planar-orchard.png"},
    "gaps_and_composites.py": {"gaps-and-composites.png"},
    "masks.py": {"masks.png"},
    "january_2022.py": {"january-2022.png"},
}


def test_all_figures_are_drawn() -> None:
    assert {path.name for path in (ROOT / "docs/figures").glob("*.py")} == set(FIGURES)


@pytest.mark.parametrize("script", FIGURES)
def test_figures_of_the_docs_are_drawn(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs/figures" / script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == FIGURES[script]
    assert FIGURES[script] <= {path.name for path in (ROOT / "docs/images").glob("*.png")}

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sits_models import cli
from sits_models.catalogue import BUILT_IN

COMMAND = Path(sys.executable).parent / "sits-models"


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_sample_prints_every_tensor(parcels: Path) -> None:
    done = run("sample", parcels, "--region", 2, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows["image"]["shape"][:2] == [4, 16]
    assert rows["image"]["dtype"] == "float32"
    assert set(rows) == {"image", "dates", "clear", "index", "yx", "region", "label"}


def test_list_has_every_card() -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert {one["name"] for cards in listed.values() for one in cards} >= {one.name for one in BUILT_IN}
    table = run("list", "backbones").stdout.splitlines()
    assert table[0] == "backbones"
    assert table[1].split()[:3] == ["planar_vit_nano", "0.4", "M"]
    (utae,) = [line for line in table if "utae" in line]
    assert utae.split()[:7] == ["utae", "1.1", "M", "chips", "(T,", "C,", "H,"]


def test_list_shows_one_card() -> None:
    shown = run("list", "backbones", "planar_vit_nano").stdout
    assert "391" not in shown.splitlines()[0]
    assert "2301.04944" in shown
    assert "temporal_depth=2" in shown
    assert "form        curve: a vector for each position" in shown.splitlines()
    assert "form" not in run("list", "methods", "dino").stdout
    assert json.loads(run("list", "backbones", "utae", "--json").stdout)["form"] == "chip"
    assert json.loads(run("list", "methods", "dino", "--json").stdout)["paper"].startswith("Caron")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample", "nothing.planar"], 1, "not a planar store"),
        (["sample"], 2, "Missing argument"),
        (["list", "models"], 2, "is not one of"),
        (["list", "methods", "simclrr"], 1, "did you mean simclr?"),
        (["pretrain", "--method", "simclrr"], 1, "did you mean simclr?"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_region_beyond_the_last_is_a_usage_error(parcels: Path) -> None:
    done = run("sample", parcels, "--region", 100000)
    assert done.returncode == 2
    assert "the store has regions 0 to" in done.stderr


def test_importing_and_help_do_not_load_torch() -> None:
    code = """
import sys
import sits_models, sits_models.cli
from click.testing import CliRunner
for words in (["--help"], ["list"], ["pretrain", "--help"]):
    assert CliRunner().invoke(sits_models.cli.main, words).exit_code == 0, words
sys.exit(bool({"torch", "lightning", "torchgeo", "sklearn", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_has_help_and_an_example() -> None:
    context = click.Context(cli.main)
    shown = " ".join(CliRunner().invoke(cli.main, ["--help"]).stdout.split())
    assert cli.main.list_commands(context) == list(cli.COMMANDS)
    for name in cli.COMMANDS:
        command = cli.main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert f"sits-models {name}" in (command.help or "")
        assert f"{name} {command.get_short_help_str(limit=200)}" in shown

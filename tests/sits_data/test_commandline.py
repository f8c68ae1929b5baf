"""The help page of the command, and what a shell is told when TAB is pressed."""

import subprocess
import sys

import click
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sits_data import cli

LISTING = """
import sys
from click.shell_completion import ShellComplete
from click.testing import CliRunner
import sits_data.cli
assert "build-cube" in CliRunner().invoke(sits_data.cli.main, ["--help"]).stdout
assert ShellComplete(sits_data.cli.main, {}, "sits-data", "X").get_completions([], "bu")
sys.exit(bool({"numpy", "pandas", "rasterio", "xarray", "zarr"} & set(sys.modules)))
"""


def test_commands_are_listed_without_importing_them() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_first_sentence_of_each_command_is_on_the_help_page() -> None:
    shown = " ".join(CliRunner().invoke(cli.main, ["--help"]).stdout.split())
    context = click.Context(cli.main)
    for name in cli.COMMANDS:
        command = cli.main.get_command(context, name)
        assert command is not None
        assert f"{name} {command.get_short_help_str(limit=200)}" in shown


def test_a_shell_is_offered_commands_and_options() -> None:
    def offered(words: list[str], begun: str) -> list[str]:
        completer = ShellComplete(cli.main, {}, "sits-data", "X")
        return [item.value for item in completer.get_completions(words, begun)]

    assert offered([], "pl") == ["planarize", "plot"]
    assert offered([], "--") == ["--version", "--help"]
    assert "--aoi" in offered(["build-cube"], "--a")

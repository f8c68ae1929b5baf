"""What the commands of this workspace share: subcommands imported when called, errors in one line."""

import ast
import importlib.resources
import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from sits_data.errors import SitsDataError


class Commands(click.Group):
    """Imports a subcommand when it is named, and turns our errors into one line.

    Args:
        package: that holds one module a subcommand: `build-cube` is the object `build_cube` of
            `PACKAGE.build_cube`, and `list` the object `list_` of `PACKAGE.list`.
        commands: names, in the order of the help page.
        again: what to do after an interruption.
        **settings: of `click.Group`.
    """

    def __init__(
        self,
        *,
        package: str,
        commands: Sequence[str],
        again: str = "start the same command again",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.package, self.names, self.again = package, tuple(commands), again

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of the workflow."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The subcommand of that name, or None."""
        if cmd_name not in self.names:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"{self.package}.{name}")
        # A command may be called as a builtin is; its object then has an underscore.
        command = getattr(module, f"{name}_", None) or getattr(module, name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the subcommands' first sentences, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._first_sentence(name)) for name in self.names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The subcommands that begin so, importing none of them, and the options of this command."""
        begun = [name for name in self.names if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=self._first_sentence(name)) for name in begun]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def _first_sentence(self, name: str) -> str:
        """That of a subcommand's help, read from its source."""
        name = name.replace("-", "_")
        source = importlib.resources.files(self.package).joinpath(f"{name}.py").read_text("utf-8")
        for part in ast.parse(source).body:
            if isinstance(part, ast.FunctionDef) and part.name in (name, f"{name}_"):
                told = click.Command(name, help=ast.get_docstring(part))
                return told.get_short_help_str(limit=200)
        raise LookupError(f"{self.package}.{name} has no command")

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; an error of ours becomes one line on stderr and its exit code."""
        # What libraries log or warn about an error, our one line says.
        logging.getLogger().addHandler(logging.NullHandler())
        # A scheduler's SIGTERM ends a run as Ctrl-C does: tidily.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with warnings.catch_warnings():
                if not sys.warnoptions:
                    warnings.simplefilter("ignore")
                return super().invoke(ctx)
        except SitsDataError as error:
            click.echo(f"{ctx.info_name}: {' '.join(str(error).split())}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(f"{ctx.info_name}: interrupted; {self.again}", err=True)
            sys.exit(130)

"""The installed command, run as a user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

COMMAND = Path(sys.executable).with_name("sits-data")

Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_env(more: dict[str, str]) -> dict[str, str]:
    """The environment without what would change what is tested."""
    return {k: v for k, v in os.environ.items() if k not in {"SITS_CATALOG", "PYTHONWARNINGS"}} | more


def run_in(folder: Path) -> Run:
    """A function that runs `sits-data` with the arguments that it gets, in a folder."""

    def run(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, args)],
            cwd=folder,
            env=clean_env(env or {}),
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return run


@contextmanager
def forked() -> Iterator[Callable[[Path], Run]]:
    """Like `run_in`, ten times faster: processes forked from one that has imported everything."""
    script = [sys.executable, Path(__file__).with_name("zygote.py")]
    with (
        TemporaryDirectory() as streams,
        subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as zygote,
    ):
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        stdin, stdout = zygote.stdin, zygote.stdout
        out, err = Path(streams, "out"), Path(streams, "err")

        def in_folder(folder: Path) -> Run:
            def run(
                *args: object,
                env: dict[str, str] | None = None,
                unprivileged: bool = False,
                file_limit: int | None = None,
            ) -> subprocess.CompletedProcess[str]:
                job = {"args": list(map(str, args)), "cwd": str(folder), "env": clean_env(env or {})}
                job |= {"out": str(out), "err": str(err)}
                job |= {"unprivileged": unprivileged, "file_limit": file_limit}
                for path in (out, err):
                    path.unlink(missing_ok=True)
                stdin.write(json.dumps(job) + "\n")
                stdin.flush()
                code = int(stdout.readline())
                return subprocess.CompletedProcess(list(args), code, read_stream(out), read_stream(err))

            return run

        yield in_folder
        stdin.close()


def read_stream(path: Path) -> str:
    """Text as it was written: carriage returns stay apart from newlines."""
    with path.open(newline="") as file:
        return file.read()

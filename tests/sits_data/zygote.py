"""The entry point of `sits-data` in fresh processes that need not import everything again.

Reads jobs (one JSON object a line) from stdin, forks for each, and prints its exit code. The child
does what the installed script does: `sys.exit(main())`, with its own arguments, folder, environment,
stdout and stderr.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import struct
import sys
import warnings
from importlib.metadata import entry_points

(script,) = entry_points(group="console_scripts", name="sits-data")
main = script.load()
for module in ("sits_data.cli.build_cube", "sits_data.cli.search", "rasterio", "pyogrio", "xarray"):
    importlib.import_module(module)

gc.freeze()  # what children share stays shared

for line in sys.stdin:
    job = json.loads(line)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's idle threads do not survive a fork
        child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

signal.alarm(60)
os.chdir(job["cwd"])
os.environ.clear()
os.environ.update(job["env"])
for stream, path in enumerate((os.devnull, job["out"], job["err"])):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), stream)
if job["file_limit"] is not None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"],) * 2)
if job["unprivileged"]:
    # Root keeps its files and loses the right to ignore their modes.
    version_3, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(version_3, nothing) == 0
sys.argv = ["sits-data", *job["args"]]
sys.exit(main())

"""Files that are written whole, whoever else writes them."""

import subprocess
import sys
from pathlib import Path

WRITE = """
import sys
from pathlib import Path
from sits_data.output import write_atomically
for number in range(300):
    write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 10_000)
"""


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    target = tmp_path / "cell.npz"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, target, letter], stderr=subprocess.PIPE)
        for letter in "ab"
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said.decode()
    assert target.read_bytes() in (b"a" * 10_000, b"b" * 10_000)
    assert list(tmp_path.iterdir()) == [target]

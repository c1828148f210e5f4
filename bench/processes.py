"""Memory and processor time of process trees, read from /proc (proc(5))."""

import os
import pathlib

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """`root` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_s(root: int) -> float:
    """Seconds that the tree has computed so far, children that have ended included."""
    return sum(sum(map(int, fields[11:15])) * TICK_S for pid in tree(root) if (fields := _stat(pid)))


def pss_mb(pid: int) -> float:
    """The process' share of memory: pages that several use are divided among them."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def command(pid: int) -> str:
    try:
        return (
            pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        )
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything: state, parent, …, user time at 11, system time at 12."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

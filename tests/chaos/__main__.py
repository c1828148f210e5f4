"""`python -m tests.chaos kills`: the real processes, killed again and again; exit code 1 unless all is explained."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.chaos.kills import Course, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    kills = commands.add_parser("kills", help="SIGKILL to a random process every few seconds")
    kills.add_argument("--kills", type=int, default=200)
    kills.add_argument("--timelapses", type=int, default=20)
    kills.add_argument("--every", type=float, default=3.0, help="seconds between two kills, on average")
    kills.add_argument("--quiet-within", type=float, default=900.0, help="seconds to come to rest afterwards")
    kills.add_argument(
        "--seed", type=int, default=None, help="for the same course again; otherwise by chance"
    )
    options = parser.parse_args()
    return _kills(options)


def _kills(options: argparse.Namespace) -> int:
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    course = Course.drawn(
        seed=seed, kills=options.kills, every_s=options.every, timelapses=options.timelapses
    )
    outcome = run(course, quiet_within_s=options.quiet_within, say=_say)
    _say("")
    _say(f"seed {seed}: {sum(outcome.killed.values())} killed: {_counted(outcome.killed)}")
    if outcome.ended_by_themselves:
        _say(f"ended by themselves and were started again: {_counted(outcome.ended_by_themselves)}")
    _say(outcome.verdict.table())
    if outcome.quiet_after_s is None:
        _say(f"It did not come to rest within {options.quiet_within:.0f} s:\n{outcome.unsettled[:3000]}")
    return 0 if outcome.is_clean else 1


def _counted(names: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(names.items()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Makes the project's own environment in .venv and starts a command in it; needs only Python 3.11.

python3 go.py up [--port 8000 ...]     start everything on this machine; Ctrl-C stops it
python3 go.py test [pytest arguments]  style, types, contracts and all tests
python3 go.py check                    style, types and contracts only
python3 go.py chaos kills              harm the real processes, count what it cost (docs/chaos.md)
python3 go.py manage COMMAND ...       any management command, on the data of `up`
python3 go.py lock                     pin the requirements again
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.txt"
LOCKS = {"requirements.txt": "requirements/base.in", "requirements/dev.txt": "requirements/dev.in"}
# What waits for real processes: killed ones, with what computes for long; well ones and a browser.
LANES = ("harm or slow", "(e2e or browser) and not (harm or slow)")
CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "mypy", "."),
    ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
)
# uv's names for what pip calls so; uv does not read pip's configuration
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0] if arguments else "help"), arguments[1:]
    if command not in ("up", "test", "check", "chaos", "manage", "lock"):
        print(__doc__.strip())
        return 0 if command in ("help", "-h", "--help") else 2
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python meets first
        found = ".".join(map(str, sys.version_info[:2]))
        raise SystemExit(f"Timelapser needs Python 3.11 or newer; this is {found} ({sys.executable}).")
    os.chdir(ROOT)
    with Path(__file__).open() as itself:  # one installation at a time; the second waits for the first
        fcntl.flock(itself, fcntl.LOCK_EX)
        uv = make_environment()
        if command == "lock":
            return lock(uv)
        install(uv, with_tests=command in ("test", "check", "chaos"))
    starts = {
        "up": ["manage.py", "up"],
        "manage": ["-m", "timelapser.embedded.command"],
        "chaos": ["-m", "tests.chaos"],
    }
    if start := starts.get(command):
        os.execv(PYTHON, [str(PYTHON), *start, *rest])  # noqa: S606 - signals must reach it, not us
    return check() if command == "check" else test(rest)


def make_environment() -> str:
    """Creates .venv if it is missing or broken; returns the uv to install with."""
    uv = shutil.which("uv")
    if not (PYTHON.exists() and succeeds([PYTHON, "-c", ""])):
        print("Making .venv ...", flush=True)
        try:
            shutil.rmtree(VENV, ignore_errors=True)
            VENV.mkdir(exist_ok=True)
        except OSError as error:
            raise SystemExit(f"The folder {ROOT} cannot be written ({error.strerror}).") from None
        # Debian without python3-venv has no ensurepip: then without pip, which is borrowed below
        if not succeeds([sys.executable, "-m", "venv", VENV]):
            run([sys.executable, "-m", "venv", "--without-pip", "--clear", VENV], "No .venv could be made")
    if uv or (VENV / "bin" / "uv").exists():
        return uv or str(VENV / "bin" / "uv")
    pip = [PYTHON, "-m", "pip"]
    if not succeeds([*pip, "--version"]):
        pip = [sys.executable, "-m", "pip", "--python", PYTHON]  # works where the system's pip is locked, too
        if not succeeds([sys.executable, "-m", "pip", "--version"]):
            raise SystemExit("Python came without pip here. On Debian and Ubuntu: apt install python3-venv")
    run([*pip, "install", "--quiet", "--disable-pip-version-check", "uv"], "uv could not be installed")
    return str(VENV / "bin" / "uv")


def install(uv: str, *, with_tests: bool) -> None:
    """Brings .venv to the lock; once the test tools are in, they stay and are kept up to date."""
    stamp = STAMP.read_text() if STAMP.exists() else ""
    lock_file = "requirements/dev.txt" if with_tests or "dev.txt" in stamp else "requirements.txt"
    wanted = f"{lock_file} {hashlib.sha256((ROOT / lock_file).read_bytes()).hexdigest()}\n"
    if stamp == wanted:
        return
    print(f"Installing {lock_file} into .venv ...", flush=True)
    STAMP.unlink(missing_ok=True)
    run([uv, "pip", "sync", "--quiet", "--compile-bytecode", "--python", PYTHON, lock_file], "Not installed")
    STAMP.write_text(wanted)


def uv_environment() -> dict[str, str]:
    """The environment with pip's configuration under uv's names; what is set for uv already wins."""
    environment = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"} | dict(os.environ)
    home = Path(environment.get("HOME") or Path.home())
    if not os.access(home if home.exists() else home.parent, os.W_OK):
        environment.setdefault("UV_CACHE_DIR", str(VENV / "cache"))
    for python in (PYTHON, sys.executable):
        listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True)
        if listed.returncode == 0:
            return pip_settings(listed.stdout) | environment
    return environment


def pip_settings(listed: str) -> dict[str, str]:
    """`pip config list` in uv's words; a command's section beats the global one, the environment both."""
    found = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
    settings: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for option, name in PIP_TO_UV.items():
            if value := found.get(f"{section}.{option}"):
                words = [word for word in ast.literal_eval(value).split() if is_there(word)]
                settings[name] = ("," if option == "find-links" else " ").join(words)
    if settings.get("UV_INDEX"):
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's way; the hashes in the lock guard it
    return {name: value for name, value in settings.items() if value}


def is_there(location: str) -> bool:
    """pip passes over a local folder that is gone, uv stops."""
    path = location.removeprefix("file://")
    return Path(path).exists() if path.startswith("/") else True


def succeeds(command: list) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def run(command: list, failed: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=uv_environment())
    if done.returncode:
        raise SystemExit(f"{failed}: {reason(done.stdout + done.stderr)}")


def reason(output: str) -> str:
    """What an installer's output means, in one sentence, and its own last words."""
    text = output.lower()
    words = " / ".join(line.strip() for line in output.strip().splitlines()[-4:])
    if any(sign in text for sign in ("no space left", "disk quota")):
        return f"the disk is full. ({words})"
    if any(sign in text for sign in ("read-only file system", "permission denied")):
        return f"the folder {ROOT} cannot be written. ({words})"
    if any(sign in text for sign in ("certificate", "unknownissuer")):
        return f"the package index's certificate is not trusted; set SSL_CERT_FILE. ({words})"
    if any(
        sign in text
        for sign in ("failed to fetch", "dns error", "connection", "timed out", "no matching distribution")
    ):
        return f"the package index cannot be reached; is the network up? ({words})"
    if any(sign in text for sign in ("failed to build", "build backend", "gcc", "compiler")):
        return (
            "a package has no ready-built form for this machine and could not be compiled; "
            f"on Debian and Ubuntu: apt install build-essential python3-dev. ({words})"
        )
    return words or "the command said nothing."


def lock(uv: str) -> int:
    for lock_file, source in LOCKS.items():
        options = ["--generate-hashes", "--no-header", "--universal", "--python-version", "3.11", "--upgrade"]
        run([uv, "pip", "compile", "--quiet", source, "-o", lock_file, *options], f"{lock_file} not written")
    return 0


def check() -> int:
    """All of style, types and contracts, so that one run shows everything; 1 if anything failed."""
    return max(subprocess.run([PYTHON, *step]).returncode != 0 for step in CHECKS) and 1


def test(arguments: list[str]) -> int:
    pytest = [PYTHON, "-m", "pytest"]
    if arguments:
        return subprocess.run([*pytest, *arguments]).returncode
    if check():
        print("Style, types or contracts failed (above): the tests were not started.")
        return 1
    return max(run_beside(pytest), key=abs)


def run_beside(pytest: list) -> list[int]:
    """The tests in lanes beside each other: many only wait. The first speaks as it goes, the others at the end."""
    others = f"not ({' or '.join(f'({lane})' for lane in LANES)}) and not soak"
    # the database of the embedded default is SQLite, that of production PostgreSQL: both must do
    sqlite = os.environ | {"TIMELAPSER_TEST_DATABASE": "sqlite"}
    lanes = [(f"that are marked {lane}", ["-m", f"({lane}) and not soak"], os.environ) for lane in LANES]
    lanes.append(("of the database, on SQLite", ["--only-database", "-m", others], sqlite))
    with contextlib.ExitStack() as files:
        said = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in lanes]
        beside = [
            subprocess.Popen([*pytest, *options], stdout=file, stderr=subprocess.STDOUT, env=environment)
            for (_, options, environment), file in zip(lanes, said, strict=True)
        ]
        try:
            codes = [subprocess.run([*pytest, "-m", others]).returncode]
            codes += [lane.wait() for lane in beside]
        finally:
            for lane in beside:
                if lane.poll() is None:
                    lane.send_signal(signal.SIGINT)  # it then stops what it has started
                    lane.wait()
        for (title, _, _), file in zip(lanes, said, strict=True):
            file.seek(0)
            print(f"The tests {title}:", file.read(), sep="\n")
    return codes


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

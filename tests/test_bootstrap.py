"""go.py: what it says when it cannot, and the environment it makes, in copies of the project's first steps."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDINARY_USER = 65534  # nobody


@pytest.fixture
def go():
    """go.py as a module of its own for each test."""
    spec = importlib.util.spec_from_file_location("go_under_test", ROOT / "go.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A folder with blanks in its name that holds go.py, a lock of one small package and a command that tells."""
    folder = tmp_path / "a project"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "go.py", folder)
    locked = (ROOT / "requirements.txt").read_text().split("\nsqlparse==")[1].splitlines()
    hashes = [line.strip(" \\") for line in locked[1:4] if "--hash" in line]
    lines = [f"sqlparse=={locked[0].split()[0]}", *hashes]
    (folder / "requirements.txt").write_text(" \\\n    ".join(lines) + "\n")
    (folder / "manage.py").write_text(
        "import sys, sqlparse; print(sys.argv[1:], sys.prefix, sqlparse.__file__)\n"
    )
    return folder


def start(project, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "go.py", *arguments],
        cwd=project,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def path_without_uv():
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not Path(folder, "uv").exists())


def test_go_alone_explains_its_commands(project):
    done = start(project)
    assert done.returncode == 0
    for command in ("up", "test", "check", "manage", "lock"):
        assert f"python3 go.py {command}" in done.stdout
    assert not (project / ".venv").exists()


def test_unknown_command_is_refused(project):
    assert start(project, "fly").returncode == 2


def test_old_python_is_told_what_is_needed(go, monkeypatch):
    monkeypatch.setattr(go.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"^Timelapser needs Python 3\.11 or newer; this is 3\.9"):
        go.main(["up"])


def test_folder_that_cannot_be_written_is_said_in_one_sentence(project):
    # Root may write everywhere: then somebody else tries, who can get as far as the folder.
    stranger = {"user": ORDINARY_USER, "group": ORDINARY_USER} if os.geteuid() == 0 else {}
    for parent in (project.parent, *project.parents[1:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    project.chmod(0o555)
    interpreter = shutil.which("python3", path="/usr/bin") or sys.executable
    done = subprocess.run(
        [interpreter, "go.py", "up"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        **stranger,
    )
    project.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr == f"The folder {project} cannot be written (Permission denied).\n"


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: Failed to fetch: `https://index/simple/django/`\n  dns error", "is the network up?"),
        ("Caused by: invalid peer certificate: UnknownIssuer", "set SSL_CERT_FILE"),
        (
            "× Failed to build `av==14`\nerror: command 'gcc' failed: No such file",
            "apt install build-essential",
        ),
        ("error: failed to create directory: Read-only file system (os error 30)", "cannot be written"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("something nobody foresaw", "something nobody foresaw"),
        ("", "the command said nothing."),
    ],
)
def test_failed_installation_is_explained(go, output, sentence):
    assert sentence in go.reason(output)


def test_pip_s_configuration_reaches_uv(go, tmp_path):
    listed = (
        ":env:.index-url='https://own/simple'\n:env:.require-virtualenv='1'\n"
        f"global.extra-index-url='https://a/simple\\nfile://{tmp_path} file:///gone/simple'\n"
        "global.index-url='https://other/simple'\ninstall.cert='/etc/hosts'\n"
    )
    assert go.pip_settings(listed) == {
        "UV_DEFAULT_INDEX": "https://own/simple",
        "UV_INDEX": f"https://a/simple file://{tmp_path}",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/hosts",
    }


def test_own_settings_of_uv_win(go, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://of-pip/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://of-uv/simple")
    assert go.uv_environment()["UV_DEFAULT_INDEX"] == "https://of-uv/simple"
    assert go.uv_environment()["UV_PYTHON_DOWNLOADS"] == "never"


@pytest.mark.parametrize("home", ["", "/nonexistent/home"])
def test_uv_keeps_its_cache_here_without_a_home(go, monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(go.os, "access", lambda *_: False)
    assert go.uv_environment()["UV_CACHE_DIR"] == str(go.VENV / "cache")


@pytest.mark.slow
def test_command_runs_in_the_environment_that_was_made(project):
    # No HOME, no uv on the path, blanks in the folder's name.
    first = start(project, "up", "--port", "1", HOME="", PATH=path_without_uv(), PYTHONDONTWRITEBYTECODE="1")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1].startswith(
        f"['up', '--port', '1'] {project}/.venv {project}/.venv/lib"
    )
    assert list(project.glob(".venv/lib/*/site-packages/sqlparse/__pycache__/*.pyc"))

    again = start(project, "up")
    assert len(again.stdout.splitlines()) == 1, "nothing is installed twice"

    shutil.copy(project / "requirements.txt", project / "requirements" / "dev.txt")
    with (project / "requirements.txt").open("a") as lock:
        lock.write("# another version of the lock\n")
    assert "Installing requirements.txt into .venv" in start(project, "up").stdout

    shutil.rmtree(project / ".venv" / "bin")
    assert start(project, "up").returncode == 0, "a broken environment is made anew"


@pytest.mark.slow
def test_environment_is_made_where_ensurepip_is_missing(project, tmp_path):
    # Debian without python3-venv: `venv` fails, pip is there and locked.
    (tmp_path / "modules" / "ensurepip").mkdir(parents=True)
    (tmp_path / "modules" / "ensurepip" / "__init__.py").write_text("raise ImportError('not here')\n")
    (tmp_path / "modules" / "ensurepip" / "__main__.py").write_text("")
    base = Path(sys.base_prefix, "bin", "python3")
    done = subprocess.run(
        [base, "go.py", "up"],
        cwd=project,
        env=os.environ | {"PATH": path_without_uv(), "PYTHONPATH": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"{project}/.venv" in done.stdout


@pytest.mark.slow
def test_index_that_cannot_be_reached_is_said_in_one_sentence(project):
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    done = start(
        project, "up", **nowhere, UV_NO_CACHE="1", PIP_NO_CACHE_DIR="1", PIP_RETRIES="0", UV_HTTP_RETRIES="0"
    )
    assert done.returncode == 1
    assert "the package index cannot be reached; is the network up?" in done.stderr
    assert "Traceback" not in done.stderr

#!/usr/bin/env python3
"""Everything a developer does here, with nothing installed but Python 3.11 or newer.

    python3 dev.py run       start the whole system and stay (options: python3 dev.py run --help)
    python3 dev.py demo      start it on its own, play the demo, stop it
    python3 dev.py test      run the tests, on all cores; arguments go to pytest; --quick leaves out what kills processes
    python3 dev.py check     format, lint, types and import rules
    python3 dev.py bench     run the benchmarks
    python3 dev.py chaos     load everything while its parts are killed and cut off, then compare with the bank's books
    python3 dev.py simulate  play payments in virtual time while everything fails (options: python3 dev.py simulate --help)
    python3 dev.py clean     remove data and caches; with --all the installed packages too
    python3 dev.py lock      write the two requirements.lock anew from pyproject.toml

The first call, and the first after a change of dependencies, installs the locked packages into .venv.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

OLDEST = (3, 11)
if sys.version_info < OLDEST:  # older ones must be able to read this file, and say so
    names = [n for n in ("python3.14", "python3.13", "python3.12", "python3.11") if shutil.which(n)]
    newer = [n for n in names if subprocess.call([n, "-c", ""], stderr=subprocess.DEVNULL) == 0]
    advice = "Run it with: {} dev.py".format(*newer) if newer else "Get one from https://www.python.org/downloads/"
    sys.exit("This needs Python 3.11 or newer, and this one is {}.{}. {}".format(*sys.version_info[:2], advice))

import importlib.util  # noqa: E402 - after the check above, as are all things that an old Python may lack
from collections import deque  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from contextlib import suppress  # noqa: E402
from pathlib import Path  # noqa: E402

with suppress(ImportError):  # Windows has none: two first calls at once are the user's to avoid there
    import fcntl

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "dev-py.json"  # what was installed; written last
UNDERWAY = VENV / "dev-py.underway"  # an install began; what it left behind, if it never ended, is not trusted
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
IMAGE_LOCK = ROOT / "deploy" / "requirements.lock"  # what runs: without the tools and the embedded servers
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", "build", "dist")
OUTPUT_LINES = 40  # what is shown of an installer's output when it failed


def say(text: str) -> None:
    """To people. Never on stdout, which belongs to the command: `run --json` prints one line there."""
    print(text, file=sys.stderr, flush=True)


# --- the packages -----------------------------------------------------------------------------------------------------


def digest(*files: Path) -> str:
    """One number for the contents of these files."""
    together = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        together.update(b"%d " % len(content) + content)
    return together.hexdigest()


def wanted(python: str) -> dict[str, str]:
    """What the stamp must say. The place counts: the installed project points to it."""
    return {"digest": digest(LOCK, ROOT / "pyproject.toml"), "python": python, "root": str(ROOT)}


def installed() -> dict[str, str]:
    """What the stamp says; empty when there is none that can be read."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def python_of_venv() -> str:
    """The version of the interpreter in .venv, such as 3.11; empty when there is none that runs."""
    try:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        return subprocess.check_output([str(PYTHON), "-I", "-S", "-c", code], text=True, timeout=60).strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def verdict(stamp: dict[str, str], python: str, root: str, current: str, underway: bool) -> str:
    """What to do about .venv: "keep" it, "install" into it, or "rebuild" it."""
    if underway or not python:
        return "rebuild"
    if tuple(map(int, python.split("."))) < OLDEST:
        return "rebuild"
    if stamp and (stamp.get("python") != python or stamp.get("root") != root):
        return "rebuild"  # the packages are for another Python, or the checkout was moved
    return "keep" if stamp.get("digest") == current else "install"


def ensure() -> None:
    """Brings .venv up to date. One process at a time; the others wait and then find it done."""
    if decide() == "keep":
        return
    with Path(__file__).open("rb") as lock:  # an open file of the checkout is all that a lock needs
        take(lock.fileno())
        action = decide()
        if action == "keep":
            return
        try:
            install(action == "rebuild", lock.fileno())
        except PermissionError as error:
            sys.exit(f"Can't install into {VENV}: {error}. Run this as the owner of the checkout, or in one of your own.")


def decide() -> str:
    python = python_of_venv()
    return verdict(installed(), python, str(ROOT), wanted(python)["digest"], UNDERWAY.exists())


def take(descriptor: int) -> None:
    """Waits for the lock of an open file. It is let go when every process that has the file open has ended."""
    if os.name == "nt":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Waiting for another dev.py that is installing …")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def install(afresh: bool, lock: int) -> None:
    uv = shutil.which("uv")
    say(f"Installing into {VENV} with {'uv' if uv else 'pip'}; this is done once …")
    if afresh:
        shutil.rmtree(VENV, ignore_errors=True)
        make_venv(uv, lock)
    UNDERWAY.touch()
    STAMP.unlink(missing_ok=True)
    pip = [uv, "pip", "install", "--python", str(PYTHON)] if uv else [*pip_for_venv(lock), "install"]
    steps([*pip, "--require-hashes", "-r", str(LOCK)], "packages", lock)
    steps([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], "this project", lock)
    draft = STAMP.with_suffix(".new")
    draft.write_text(json.dumps(wanted(python_of_venv())))
    UNDERWAY.unlink()
    draft.replace(STAMP)
    say("Installed.")


def count(locked: str) -> int:
    """How many packages a lock file has."""
    return sum("==" in line for line in locked.splitlines() if not line.startswith((" ", "#")))


def make_venv(uv: str | None, lock: int) -> None:
    if uv:
        steps([uv, "venv", "--python", sys.executable, str(VENV)], "an environment", lock)
    elif importlib.util.find_spec("ensurepip"):
        steps([sys.executable, "-m", "venv", str(VENV)], "an environment", lock)
    elif importlib.util.find_spec("pip"):
        steps([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "an environment", lock)
    else:
        sys.exit(
            "This Python can't make virtual environments: it has neither ensurepip nor pip. On Debian and Ubuntu, "
            "`apt install python3-venv`; or install uv, see https://docs.astral.sh/uv"
        )


def pip_for_venv(lock: int) -> list[str]:
    """How to call a pip that installs into .venv: its own, or that of this Python."""
    own = [str(PYTHON), "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    if importlib.util.find_spec("ensurepip"):
        steps([str(PYTHON), "-m", "ensurepip"], "pip", lock)
        return own
    return [sys.executable, "-m", "pip", "--python", str(PYTHON)]


def steps(command: list[str], what: str, lock: int) -> None:
    """Runs an installer and shows how far it is; ends with the end of its output when it fails.

    The child holds our lock too, so that one that survives us is waited for by the next dev.py.
    """
    total = count(LOCK.read_text())
    last: deque[str] = deque(maxlen=OUTPUT_LINES)
    terminal, seen = sys.stderr.isatty(), 0
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=ROOT,
        pass_fds=() if os.name == "nt" else (lock,),
    )
    assert process.stdout
    for line in process.stdout:
        last.append(line.rstrip())
        if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
            seen += 1
            if terminal:
                print(f"\r  {what}: {seen} of {total}  ", end="", file=sys.stderr, flush=True)
            elif seen % 25 == 0:
                say(f"  {what}: {seen} of {total}")
        elif line.startswith("Installing collected"):
            say(("\r" if terminal else "") + f"  {what}: unpacking           ")
    if process.wait() != 0:
        sys.exit("\n".join([*last, "", f"Installing {what} failed, see above: {' '.join(command[:4])} …"]))


def environment() -> dict[str, str]:
    """Ours without what would send packages elsewhere, and with pip's small talk off."""
    unwanted = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}


# --- the commands -----------------------------------------------------------------------------------------------------


def become(*arguments: str) -> int:
    """Goes on as .venv's Python with these arguments, in this very process where that is possible.

    -P: the folder in which this is called may have an `app` of its own.
    """
    ensure()
    command = [str(PYTHON), "-P", *arguments]
    if os.name != "nt":
        os.execv(command[0], command)  # noqa: S606 - the process id stays, and with it who gets the signals
    return subprocess.call(command)


def run(*arguments: str) -> int:
    return become("-m", "app", "up", *arguments)


def demo(*arguments: str) -> int:
    return become("-m", "app", "up", "--demo", *arguments)


def test(*arguments: str) -> int:
    os.chdir(ROOT)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    # A whole suite on all cores; what is asked for by name in this process, where a debugger can reach it.
    on_all_cores = ("-n", str(max(2, cores)))
    if arguments == ("--quick",):
        return become("-m", "pytest", *on_all_cores, "-m", "not long")
    return become("-m", "pytest", *(arguments or on_all_cores))


def bench(*arguments: str) -> int:
    return become("-m", "bench", *arguments)


def chaos(*arguments: str) -> int:
    return become("-m", "tests.chaos", *arguments)


def simulate(*arguments: str) -> int:
    return become("-m", "tests.simulation", *arguments)


def check(*_: str) -> int:
    """All of them, also after one has failed; side by side, since most wait for the slowest."""
    ensure()
    commands = {
        "format": [str(BIN / "ruff"), "format", "--check", "."],
        "lint": [str(BIN / "ruff"), "check", "."],
        "types": [str(PYTHON), "-m", "mypy"],
        "imports": [str(BIN / "lint-imports")],
    }

    def result(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    with ThreadPoolExecutor() as pool:
        results = dict(zip(commands, pool.map(result, commands.values()), strict=True))
    for name, done in results.items():
        if done.returncode != 0:
            print(f"--- {name} ---\n{done.stdout.rstrip()}\n")
    for name, done in results.items():
        print(f"  {name:<8} {'ok' if done.returncode == 0 else 'FAILED'}")
    return int(any(done.returncode for done in results.values()))


def clean(*arguments: str) -> int:
    if os.name != "nt":
        descriptor = os.open(ROOT, os.O_RDONLY)
        try:  # `partner-api up` holds a shared lock on its checkout's folder
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("A run of this checkout is alive. Stop it first (Ctrl-C where it was started), then clean.")
    doomed = [ROOT / ".data", *(ROOT / name for name in CACHES), *ROOT.glob("*.egg-info")]
    doomed += [path for path in ROOT.rglob("__pycache__") if VENV not in path.parents]
    doomed += [VENV] if "--all" in arguments else []
    for path in doomed:
        if path.exists():
            shutil.rmtree(path)
    say("Clean.")
    return 0


def lock(*_: str) -> int:
    """Resolves in a folder of its own, so that no uv.lock stays here."""
    with tempfile.TemporaryDirectory() as folder:
        uv = shutil.which("uv")
        if not uv:
            subprocess.run([sys.executable, "-m", "venv", f"{folder}/uv"], check=True)
            uv = f"{folder}/uv/{BIN.name}/uv"
            subprocess.run(
                [str(Path(uv).with_name(PYTHON.name)), "-m", "pip", "install", "-q", "uv"], check=True, env=environment()
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        command = [uv, "export", "--project", folder, "--no-emit-project", "--no-header", "-q"]
        texts = {  # the second finds what the first resolved, so both have the same versions
            file: subprocess.run([*command, choice], check=True, stdout=subprocess.PIPE, text=True).stdout
            for file, choice in ((LOCK, "--all-extras"), (IMAGE_LOCK, "--no-dev"))
        }
    if any("://" in text for text in texts.values()):  # a URL would tie everyone to one package index
        sys.exit("The resolved packages name URLs; the locks were left as they are.")
    for file, text in texts.items():
        file.write_text(text)
        say(f"Wrote {file.relative_to(ROOT)}: {count(text)} packages.")
    return 0


COMMANDS = {command.__name__: command for command in (run, demo, test, check, bench, chaos, simulate, clean, lock)}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    if arguments[0] not in COMMANDS:
        sys.exit(f"There is no command {arguments[0]!r}. There are: {', '.join(COMMANDS)}.")
    try:
        return COMMANDS[arguments[0]](*arguments[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

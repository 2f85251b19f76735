"""Bring a fresh machine to the point where Galaxy Atlas runs: `.venv`, its packages, the demo artifacts.

Shared by start.py and test.py, which run before anything is installed: the standard library only. These three files
keep to the grammar of Python 3.6, so that an older Python can read them and say that it is too old.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

OLDEST_PYTHON = (3, 11)
PROJECT = Path(__file__).resolve().parents[1]
REQUIREMENTS = "requirements.txt"  # what one machine needs
CLUSTER_REQUIREMENTS = "scripts/requirements-cluster.txt"  # what several machines need beside it, and the tests
DEMO_CATALOG = "synthetic:2000"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"  # Linux wheels of torch without gigabytes of CUDA libraries
NO_NETWORK = (
    "newconnectionerror",
    "name resolution",
    "network is unreachable",
    "connection refused",
    "connection broken",
    "max retries exceeded",
    "proxyerror",
    "timed out",
)
NO_VERSION = "(from versions: none)"  # pip met no index at all, or one without the package for this machine
NO_WHEEL = "failed building wheel for"  # none is ready made, and no compiler or one that cannot


class SetupError(Exception):
    """The machine cannot run Galaxy Atlas yet; the message is one sentence that says what to do."""


def prepare(project=PROJECT, lists=(REQUIREMENTS,)):
    """Make everything ready and return the path of the environment's Python; quick when nothing has changed.

    ``lists`` are the files of requirements to install, within the project.
    """
    check_python()
    for name in lists:
        python = prepare_packages(project, name)
    prepare_demo(project, python)
    return python


def check_python():
    """Stop if this Python is too old."""
    if tuple(sys.version_info[:2]) < OLDEST_PYTHON:
        needed, found = (".".join(str(part) for part in version[:2]) for version in (OLDEST_PYTHON, sys.version_info))
        raise SetupError(
            "Galaxy Atlas needs Python {0} or newer, but this is Python {1}; install a newer one "
            "(https://www.python.org/downloads) and use it, for example: python{0} {2}".format(
                needed, found, " ".join(sys.argv)
            )
        )


def environment_python(project):
    """Path of the environment's Python, whether it exists or not."""
    return project / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare_packages(project, requirements=REQUIREMENTS):
    """Create `.venv` and install a file of requirements, each only when needed."""
    python = environment_python(project)
    listed = project / requirements
    stamp = project / ".venv" / (listed.stem + ".sha256")
    try:
        wanted = hashlib.sha256(listed.read_bytes()).hexdigest()
    except OSError as error:
        raise SetupError(f"{requirements} cannot be read ({reason(error)}); fetch Galaxy Atlas again.") from error
    installed = stamp.exists() and stamp.read_text().strip() == wanted
    # where the system's Python, to which it leads, is another version by now, it has its packages no longer
    if installed and runs(python, "-c", "import pip"):
        return python

    check_writable(project)
    if not has_pip(python):
        create_environment(project, python)
    if stamp.exists():
        stamp.unlink()  # an installation that is cut short must not look finished
    install(listed, python)
    partial = stamp.with_suffix(".tmp")
    partial.write_text(wanted + "\n")
    os.replace(str(partial), str(stamp))
    return python


def check_writable(folder):
    """Stop if nothing can be created in ``folder``."""
    probe = folder / f".write_test_{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise SetupError(
            f"The folder {folder} cannot be written to ({reason(error)}); copy Galaxy Atlas to a folder of your own "
            "and start it there."
        ) from error


def reason(error):
    """What went wrong with a file, in the system's words."""
    return error.strerror or str(error)


def has_pip(python):
    """Whether the environment exists and works: a half-made one, or one whose Python was removed, does not."""
    return runs(python, "-m", "pip", "--version")


def runs(python, *arguments):
    """Whether the environment's Python is there and ends so without an error."""
    try:
        done = subprocess.run([str(python), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def create_environment(project, python):
    """Create `.venv` with this Python, in place of whatever is there."""
    say("Creating the environment in {} ...".format(project / ".venv"))
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(project / ".venv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 0 and has_pip(python):
        return
    if "ensurepip" in done.stdout:
        raise SetupError(
            "This Python cannot create environments because its venv module is incomplete; on Debian or Ubuntu install "
            "it with: sudo apt install python{}.{}-venv".format(*sys.version_info[:2])
        )
    last = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
    raise SetupError(
        "The environment {} could not be created ({}); check the free disk space and that you may write there.".format(
            project / ".venv", last
        )
    )


def install(listed, python):
    """Install a file of requirements into the environment, showing what pip is at."""
    say(f"Installing the packages of {listed.name}; the first time this takes some minutes ...")
    # --no-user: a configuration that installs for the user, as clusters have it, is refused in an environment
    options = ["--disable-pip-version-check", "--no-input", "--no-user", "--progress-bar=off", *cpu_wheels()]
    command = [str(python), "-m", "pip", "install", *options, "-r", str(listed)]
    began = time.monotonic()
    lines = []
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    try:
        for line in running.stdout:
            lines.append(line.strip())
            show_progress(line.strip(), time.monotonic() - began)
    except BaseException:
        running.terminate()
        running.wait()
        raise
    show_progress("", 0)
    if running.wait() != 0:
        raise SetupError(explain_pip(lines, listed.name))
    say(f"Installed in {time.monotonic() - began:.0f} s.")


def cpu_wheels():
    """Arguments that let pip find torch's small CPU wheels, where there is no NVIDIA driver and they can be reached."""
    if not sys.platform.startswith("linux") or os.path.exists("/proc/driver/nvidia") or shutil.which("nvidia-smi"):
        return []
    try:
        with urllib.request.urlopen(CPU_WHEELS + "/torch/", timeout=5) as answer:
            return ["--extra-index-url", CPU_WHEELS] if answer.status == 200 else []
    except (OSError, ValueError):
        return []  # pip's own index has torch too


def show_progress(line, seconds):
    """Show pip's latest line in place of the one before it; nothing where the output is not a terminal."""
    if not sys.stdout.isatty():
        return
    width = shutil.get_terminal_size().columns - 1
    shown = line if line.startswith(("Collecting", "Downloading", "Building", "Installing")) else ""
    if shown or not line:
        text = "  {} ({:.0f} s)".format(shown.split(" (")[0][: width - 12], seconds) if shown else ""
        sys.stdout.write("\r" + text.ljust(width) + ("" if shown else "\r"))
        sys.stdout.flush()


def explain_pip(lines, name=REQUIREMENTS):
    """One sentence on why pip failed, from what it printed."""
    said = "\n".join(lines).lower()
    has_met_index = any(line.startswith(("Downloading", "Using cached")) for line in lines)
    has_no_version = NO_VERSION in said
    if any(words in said for words in NO_NETWORK) or (has_no_version and not has_met_index):
        return (
            "pip could not reach the package index, so the packages are not installed; connect to the network (or set "
            "a mirror with: pip config set global.index-url URL) and start again."
        )
    if "no space left" in said:
        return "The disk is full, so the packages are not installed; free about 3 GB and start again."
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["pip gave no reason"]
    if has_no_version or NO_WHEEL in said:
        return (
            "{} names a package that is not made for this version of Python on this machine ({}); remove the folder "
            ".venv and start with another Python, such as python{}.{}.".format(
                name, errors[-1].rstrip("."), *OLDEST_PYTHON
            )
        )
    return "pip could not install {} ({}); mend that and start again.".format(name, errors[-1].rstrip("."))


def prepare_demo(project, python):
    """Make the demo artifacts with the pipeline if they are missing; a stopped run goes on where it was."""
    if (project / "artifacts" / "demo" / "manifest.json").exists():
        return
    check_writable(project)
    command = ["scripts/run_pipeline.py", DEMO_CATALOG, "--name", "demo"]
    say("Making the demo: simulated galaxies through the whole pipeline; this takes some minutes ...")
    done = subprocess.run([str(python), *command], cwd=str(project), stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SetupError(
            "The demo could not be made; the lines above say why, and this tries again: {} {}".format(
                python, " ".join(command)
            )
        )


def say(sentence):
    """Print a line at once, also into a pipe."""
    print(sentence)
    sys.stdout.flush()


def run_or_explain(main):
    """Run ``main()`` and exit with what it returns; a `SetupError` is one sentence and exit 1, Ctrl-C exit 130."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # explicitly: a shell starts background jobs with SIGINT ignored
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    try:
        code = main()
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    except KeyboardInterrupt:
        say("\nStopped before everything was ready; the next start goes on from here.")
        code = 130
    sys.exit(code)

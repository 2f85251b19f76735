"""Start Galaxy Atlas with Python 3.11 or newer: environment, packages and demo on the first start, then the app.

Example: python3 scripts/start.py --port 8502
"""

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser

from environment import PROJECT, SetupError, check_python, prepare, run_or_explain, say

HOST = "127.0.0.1"  # this machine only: the app has no passwords
SECONDS_TO_ANSWER = 60
SECONDS_TO_END = 15  # longer than background work may take to finish its tile or file


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument("--port", type=port_number, default=8501, help="where the app answers (default: 8501)")
    return parser.parse_args()


def port_number(text):
    """A port a program can listen on."""
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return port


def check_port(port):
    """Stop if nothing can listen on ``port``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        if os.name == "posix":  # lets a port that was left a moment ago be used again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(1)
        except OSError as error:
            taken = f"is taken by another program, or the app runs already at http://localhost:{port}"
            why = taken if error.errno == errno.EADDRINUSE else "cannot be used here"
            other = port + 1 if 1024 <= port < 65535 else 8502
            raise SetupError(
                f"Port {port} {why}; choose another, for example: python3 scripts/start.py --port {other}"
            ) from error


def start_app(python, port):
    """Start Streamlit in a process group of its own: Ctrl-C then reaches this script alone, which stops it in order."""
    command = [str(python), "-m", "streamlit", "run", "app.py"]
    for option, value in (
        ("server.headless", "true"),
        ("server.address", HOST),
        ("server.port", port),
        ("browser.gatherUsageStats", "false"),
        ("logger.hideWelcomeMessage", "true"),
        ("logger.level", "warning"),
    ):
        command += [f"--{option}", str(value)]
    return subprocess.Popen(command, cwd=str(PROJECT), stdin=subprocess.DEVNULL, start_new_session=True)


def wait_until_it_answers(app, port):
    """Return when the app answers; stop if it ends or stays silent."""
    health = f"http://{HOST}:{port}/_stcore/health"
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # never through a proxy
    began = time.monotonic()
    while time.monotonic() - began < SECONDS_TO_ANSWER:
        if app.poll() is not None:
            raise SetupError(f"The app ended while starting (exit code {app.returncode}); the lines above say why.")
        try:
            with ask(health, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SetupError(f"The app did not answer within {SECONDS_TO_ANSWER} s; try again, or another --port.")


def open_browser(address):
    """Open the page where there is a desktop; elsewhere Python might start a browser inside the terminal."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    webbrowser.open(address)


def stop(app):
    """End the app: ask, wait, insist. A second Ctrl-C changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if app.poll() is None:
        app.terminate()
        try:
            app.wait(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            app.kill()
            app.wait()


def main():
    check_python()
    arguments = parse_arguments()
    check_port(arguments.port)
    python = prepare()
    app = start_app(python, arguments.port)
    try:
        wait_until_it_answers(app, arguments.port)
        address = f"http://localhost:{arguments.port}"
        say(f"Galaxy Atlas is at {address}  (Ctrl-C stops it)")
        if not arguments.no_browser:
            open_browser(address)
        code = app.wait()
        raise SetupError(f"The app ended by itself (exit code {code}); the lines above say why.")
    except KeyboardInterrupt:
        stop(app)
        say("\nStopped.")
        return 0
    finally:
        stop(app)


if __name__ == "__main__":
    run_or_explain(main)

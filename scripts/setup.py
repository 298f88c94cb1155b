"""Make this clone ready to run: .venv, the locked packages with their hashes, the project, the jars. Standard library only; safe to repeat and to interrupt.

Run by `make setup`, `make demo` (what is needed to run) and `make test` (with --dev). Each step that is done is skipped the next time; nothing outside
this folder is changed but the package installer's own cache. Old syntax on purpose: it has to tell an old Python that it is too old.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
VENV = os.path.join(ROOT, ".venv")  # noqa: PTH118
PYTHON = os.path.join(VENV, "bin", "python")  # noqa: PTH118
UV = os.path.join(VENV, "bin", "uv")  # noqa: PTH118
# Where Python must not keep what it has compiled, each process would compile all it imports: seconds, every time. So set-up does it.
KEEPS_NOTHING = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
STAMP = os.path.join(VENV, "lakehouse-setup.json")  # noqa: PTH118
UNFINISHED = os.path.join(VENV, "lakehouse-setup.unfinished")  # noqa: PTH118
OLDEST = (3, 11)
NEEDED_BYTES = 4 * 1024**3
NETWORK_SIGNS = (
    "dns",
    "network",
    "timed out",
    "timeout",
    "connection",
    "connect error",
    "failed to fetch",
    "unreachable",
    "name resolution",
    "proxy",
    "certificate",
)
BEGAN = time.time()


class SetupFailed(Exception):
    """What went wrong, and what to do about it."""


def main():
    options = arguments()
    try:
        check_python()
        with alone():
            install(options)
    except SetupFailed as error:
        sys.stderr.write("\nSet-up stopped: %s\n" % error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nSet-up was interrupted. Run it again: it goes on where it stopped.\n")
        return 130
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also what the tests and checks need")
    parser.add_argument("--warm", action="store_true", help="afterwards make the AOT cache in the background")
    return parser.parse_args()


def check_python():
    if sys.version_info[:2] < OLDEST:
        raise SetupFailed(
            "Python %d.%d is too old; %d.%d or newer is needed (this is %s).\nInstall one, or name it: make setup PYTHON=/path/to/python3.11"
            % (sys.version_info[:2] + OLDEST + (sys.executable,))
        )
    for module in ("venv", "ensurepip"):
        if not has_module(module):
            raise SetupFailed(
                "this Python (%s) lacks its module `%s`.\nOn Debian and Ubuntu: apt install python3-venv. Or name another Python: make setup PYTHON=…"
                % (sys.executable, module)
            )


def has_module(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


@contextlib.contextmanager
def alone():
    """One set-up of this clone at a time: a second one waits, and then finds everything done."""
    with open(os.path.join(ROOT, ".setup.lock"), "w") as lock:  # noqa: PTH123, PTH118
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this folder to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(options):
    name = "dev" if options.dev else "runtime"
    wanted = digest("pyproject.toml", "requirements/bootstrap.txt", "requirements/%s.txt" % name)
    stamp = read_stamp()
    if stamp.get(name) != wanted or not works(PYTHON):
        check_disk()
        make_venv()
        make_installer()
        install_packages(name)
        install_project()
        remember(name, wanted)
    fetch_jars()
    if options.warm:
        warm()
    say("Ready." if name == "runtime" else "Ready, with what the tests need.")


def check_disk():
    free = shutil.disk_usage(ROOT).free
    if free + size_of(VENV) < NEEDED_BYTES:
        raise SetupFailed(
            "%s has %.1f GB free; about %.0f GB are needed (packages, jars, AOT cache and room to work).\nNothing was changed. Make room, then run it again."
            % (ROOT, free / 1024.0**3, NEEDED_BYTES / 1024.0**3)
        )


def size_of(folder):
    """The bytes below it: what an interrupted set-up has already brought need not be brought again."""
    return sum(os.lstat(os.path.join(where, file)).st_size for where, _, files in os.walk(folder) for file in files)  # noqa: PTH118


def make_venv():
    """A new environment, unless there is one that works here; one that was moved or copied from elsewhere has scripts that point back there."""
    if works(PYTHON) and read_stamp().get("root", ROOT) == ROOT:
        if not works(PYTHON, "-m", "pip", "--version"):
            run([PYTHON, "-m", "ensurepip"], "pip could not be added to .venv")
        return
    if os.path.exists(VENV) and not os.path.exists(os.path.join(VENV, "pyvenv.cfg")) and os.listdir(VENV):  # noqa: PTH110, PTH118, PTH208
        raise SetupFailed("%s exists and is not a Python environment. Move it away, then run it again." % VENV)
    say("Making the Python environment .venv with Python %d.%d ..." % sys.version_info[:2])
    run([sys.executable, "-m", "venv", "--clear", VENV], "the Python environment could not be made")


def make_installer():
    say("Installing the package installer (uv) ...")
    run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", path("requirements/bootstrap.txt")],
        "the package installer could not be fetched",
        attempts=2,
    )


def install_packages(name):
    say("Installing the Python packages of requirements/%s.txt: Spark, Java, Dagster, dbt and what they need (1.4 GB, some minutes) ..." % name)
    locked = ["--require-hashes", "--build-constraint", path("requirements/bootstrap.txt"), "-r", path("requirements/%s.txt" % name)]
    # A killed installer can leave a package that looks installed and is not whole: then all are put in again, from the installer's cache.
    again = ["--reinstall"] if os.path.exists(UNFINISHED) else []  # noqa: PTH110
    compiled = ["--compile-bytecode"] if KEEPS_NOTHING else []
    open(UNFINISHED, "w").close()  # noqa: PTH123, SIM115
    run([UV, "pip", "install", "--python", PYTHON] + again + compiled + locked, "the packages could not be installed", attempts=2)
    os.remove(UNFINISHED)  # noqa: PTH107


def install_project():
    say("Installing the project itself (editable) ...")
    run([UV, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", "--no-build-isolation", "--editable", ROOT], "the project could not be installed")
    if KEEPS_NOTHING:
        run([PYTHON, "-m", "compileall", "-q", path("lakehouse")], "the project could not be compiled")


def fetch_jars():
    say("Jars of the engine ...")
    code = subprocess.call([PYTHON, "-m", "lakehouse.engine.jars"], cwd=ROOT)
    if code:
        raise SetupFailed("the engine's jars are not complete (see above).")


def warm():
    say("Making the engine's AOT cache in the background, at idle priority: it starts three times faster with it ...")
    subprocess.call([PYTHON, "-c", "from lakehouse.engine.training import train_in_background; train_in_background()"], cwd=ROOT)


def run(command, failure, attempts=1):
    """Run it, its output passed through. Raises SetupFailed with what its last words point to."""
    for attempt in range(1, attempts + 1):
        said = []
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        for line in process.stdout:
            said.append(line.rstrip())
            if not line.startswith((" + ", " ~ ", " - ")):  # one line for each of two hundred packages helps nobody
                sys.stdout.write("        " + line)
                sys.stdout.flush()
        if process.wait() == 0:
            return
        if attempt < attempts:
            say("That failed. Trying once more ...")
    raise SetupFailed("%s.\n%s" % (failure, advice("\n".join(said[-40:]))))


def advice(said):
    text = said.lower()
    if "no space left" in text:
        return "The disk is full (%s). Make room (about 4 GB), then run it again: it goes on where it stopped." % ROOT
    if "hash" in text and "mismatch" in text or "do not match the hashes" in text:
        return (
            "A package is not the one that was locked (see the two hashes above), and was not installed.\n"
            "Try again later or from another network; do not go around it."
        )
    if any(sign in text for sign in NETWORK_SIGNS):
        return (
            "The package registry could not be reached. Check the network, and behind a proxy HTTPS_PROXY and SSL_CERT_FILE;\n"
            "for a mirror of your own set PIP_INDEX_URL (or UV_DEFAULT_INDEX). Then run it again: it goes on where it stopped."
        )
    return "See the lines above. Set-up can be run again at any time: it goes on where it stopped."


def environment():
    """uv does not read pip's settings: pass on the two that name a mirror."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        env.pop(name, None)
    for pip, uv in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_FIND_LINKS", "UV_FIND_LINKS")):
        if env.get(pip) and not env.get(uv):
            env[uv] = env[pip]
    return env


def works(*command):
    try:
        return subprocess.call(list(command) + ([] if len(command) > 1 else ["-c", ""]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def digest(*files):
    whole = hashlib.sha256(ROOT.encode())
    for file in files:
        with open(path(file), "rb") as content:  # noqa: PTH123
            whole.update(content.read())
    return whole.hexdigest()


def read_stamp():
    try:
        with open(STAMP) as file:  # noqa: PTH123
            return json.load(file)
    except (OSError, ValueError):
        return {}


def remember(name, wanted):
    stamp = read_stamp()
    stamp.update({name: wanted, "root": ROOT})
    if name == "dev":
        stamp["runtime"] = digest("pyproject.toml", "requirements/bootstrap.txt", "requirements/runtime.txt")
    scratch = STAMP + ".new"
    with open(scratch, "w") as file:  # noqa: PTH123
        json.dump(stamp, file)
    os.replace(scratch, STAMP)  # noqa: PTH105


def path(name):
    return os.path.join(ROOT, name)  # noqa: PTH118


def say(line):
    sys.stdout.write("[%4.0f s] %s\n" % (time.time() - BEGAN, line))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Programs in processes of their own, forked from one that has imported what they have in common.

Each starts as `python PATH ARGUMENTS` does, without the shape checks of the tests, but for the
seconds that an interpreter takes to import torch, hydra and our packages.
"""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

ROOT = Path(__file__).parents[1]
PLACES = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
COMPILER = ("torch._dynamo", "torch._functorch.aot_autograd", "torch.export")
SERVER = """
import gc, importlib, json, logging, os, runpy, sys, traceback, warnings

gc.disable()  # what is imported is never garbage

def run(asked):
    gc.enable()
    for number, stream in enumerate(asked["streams"], start=1):
        os.dup2(os.open(stream, os.O_WRONLY), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = [asked["path"], *asked["arguments"]]
    sys.path.insert(0, os.path.dirname(asked["path"]))
    if asked["no_warning_of"]:
        warnings.filterwarnings("error", category=UserWarning, module=asked["no_warning_of"])
    try:
        runpy.run_path(asked["path"], run_name="__main__")
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
            return 1
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    asked = json.loads(line)
    for name in asked["imports"]:
        importlib.import_module(name)
    gc.freeze()
    child = os.fork()
    if child == 0:
        code = run(asked)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the orderly end of an interpreter that holds torch takes seconds
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def run_program(
    path: Path,
    *arguments: object,
    folder: Path = ROOT,
    imports: tuple[str, ...] = (),
    no_warning_of: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, and return its exit code and what it wrote.

    Args:
        path: of the script.
        arguments: of the command line.
        folder: in which it runs.
        imports: modules that it needs, which are imported once for all programs.
        no_warning_of: pattern of modules, a UserWarning of which is an error.
    """
    words = [str(word) for word in arguments]
    with NamedTemporaryFile("r") as out, NamedTemporaryFile("r") as err:
        code = _ask(
            path=str(path),
            arguments=words,
            streams=[out.name, err.name],
            folder=str(folder),
            imports=imports,
            environment={**os.environ, "OMP_NUM_THREADS": "1"},
            no_warning_of=no_warning_of,
        )
        return subprocess.CompletedProcess([str(path), *words], code, out.read(), err.read())


def _ask(**program: object) -> int:
    """Return the exit code of a program."""
    server = _server()
    try:
        server.stdin.write(f"{json.dumps(program)}\n")
        server.stdin.flush()
        return int(server.stdout.readline())
    except BaseException:  # as when the time of a test is up
        _end(server)
        _server.cache_clear()
        raise


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PLACES, "OMP_NUM_THREADS": "1"},
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    server.kill()
    server.communicate()

"""A plugin of pytest: "baseline" is fastsig as server.py runs it under FASTSIG_PYTHON; the truth is computed here."""

import functools
import os
import pickle
import struct
import subprocess
from pathlib import Path


@functools.cache
def server():
    command = [os.environ["FASTSIG_PYTHON"], Path(__file__).with_name("server.py")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def ask(*question):
    data, process = pickle.dumps(question), server()
    process.stdin.write(struct.pack("<q", len(data)) + data)
    process.stdin.flush()
    kind, value = pickle.loads(process.stdout.read(struct.unpack("<q", process.stdout.read(8))[0]))
    if kind == "error":
        raise value
    return kind, value


class Proxy:
    def __init__(self, path=()):
        self._path = path

    def __getattr__(self, name):
        if name == "__name__":
            return ".".join(["fastsig", *map(str, self._path)])
        if name.startswith("__"):
            raise AttributeError(name)
        path = (*self._path, name)
        kind, value = ask(path, (), {}, False)
        if kind == "proxy":
            value = self.__dict__[name] = Proxy(path)
        return value

    def __call__(self, *arguments, **keywords):
        kind, value = ask(self._path, arguments, keywords, True)
        return Proxy((value,)) if kind == "proxy" else value

    def __enter__(self):
        return Proxy((*self._path, "__enter__"))()

    def __exit__(self, *error):
        Proxy((*self._path, "__exit__"))(None, None, None)  # a traceback cannot be sent


def pytest_unconfigure():
    if server.cache_info().currsize:
        with server():  # closes its pipes, at which it ends
            pass


def pytest_collection_modifyitems(config):
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "imported_on") and hasattr(plugin, "BACKENDS"):  # conftest.py
            native, why_not = plugin.imported_on, plugin.why_not
            plugin.imported_on = lambda backend, native=native: Proxy() if backend == "baseline" else native(backend)
            plugin.why_not = lambda backend, why=why_not: (None, True) if backend == "baseline" else why(backend)

"""The command line's .npy files: mapped in pieces, and made under a temporary name."""

import contextlib
import math
import os
import shutil
import stat
import sys
import tempfile
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy


class Failure(Exception):
    """What the user is told in one line, with exit code 2."""


class Array(NamedTuple):
    """An array in an open .npy file."""

    file: BinaryIO
    offset: int
    dtype: np.dtype
    shape: tuple
    fortran: bool

    @property
    def end(self):
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def maps(self, line, count, width, columns):
        """Some columns of some lines of this width, in memory only as long as they are referred to."""
        mode = "r+" if self.file.writable() else "r"
        whole = len(columns) == width
        for i in range(1 if whole else count):  # one map of all would bring other columns into memory, too
            start = self.offset + ((line + i) * width + columns.start) * self.dtype.itemsize
            shape = (count if whole else 1, len(columns))
            yield np.asarray(np.memmap(self.file, self.dtype, mode, start, shape))

    def read(self, line, count, width, columns):
        """The values there, as a map or a copy."""
        if not count:
            return np.empty((0, len(columns)), self.dtype)
        maps = list(self.maps(line, count, width, columns))
        return maps[0] if len(maps) == 1 else np.concatenate(maps)

    def write(self, values, line, width, columns):
        """Values, one line each, to there."""
        for part in self.maps(line, len(values), width, columns):
            part[...], values = values[: len(part)], values[len(part) :]


STANDARD = "-"  # standard input or output, as a path


def exists(path):
    """Whether the file is there; a failure if it is a directory, or a device, which may keep one waiting."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise Failure(f"{path}: not a regular file")
    return True


def is_pipe(path):
    """Whether it is standard input, or a pipe by its name, as a shell makes of <(...)."""
    return path == STANDARD or (os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode))


@contextlib.contextmanager
def reading(path):
    """An open file to read: of a pipe, which cannot be mapped or read twice, all that it gives, in a nameless file."""
    if not is_pipe(path):
        exists(path)
        with open(path, "rb") as file:
            yield file
        return
    with contextlib.ExitStack() as stack:
        pipe = sys.stdin.buffer if path == STANDARD else stack.enter_context(open(path, "rb"))
        if pipe.isatty():
            raise Failure("standard input: a terminal, not a .npy file")
        file = stack.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(pipe, file, 1 << 20)
        file.seek(0)
        yield file


@contextlib.contextmanager
def to_standard_output():
    """A nameless file, which goes to standard output if all goes well."""
    if sys.stdout.isatty():
        raise Failure("standard output: a terminal, to which no .npy file is written")
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        try:
            with open(sys.stdout.fileno(), "wb", closefd=False) as out:  # sys.stdout would try again at the end
                shutil.copyfileobj(file, out, 1 << 20)
        except OSError as error:
            raise Failure(f"standard output: {error.strerror}") from None


def read_header(file, path):
    """The array in an open file. Nothing is unpickled: NumPy parses the header, a literal, and that is all."""
    try:
        version = npy.read_magic(file)
    except ValueError:
        raise Failure(f"{path}: not a .npy file") from None
    try:
        shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
    except Exception as error:  # the parser's own, whatever it comes across
        raise Failure(f"{path}: broken .npy header, {error}") from None
    array = Array(file, file.tell(), dtype, shape, fortran)
    size = os.fstat(file.fileno()).st_size
    if size < array.end:
        raise Failure(f"{path}: cut short, {size} bytes of {array.end}")
    return array


def write_header(file, dtype, shape, fortran):
    """A new array in an open file. Its space is taken now: a disk that is full under mapped memory is a crash."""
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": fortran, "shape": shape})
    array = Array(file, file.tell(), dtype, shape, fortran)
    if hasattr(os, "posix_fallocate"):
        file.flush()
        os.posix_fallocate(file.fileno(), 0, array.end)
    else:  # macOS and Windows
        zeros = memoryview(bytes(1 << 20))
        for left in range(array.end - array.offset, 0, -len(zeros)):
            file.write(zeros[:left])
        file.flush()
    return array


@contextlib.contextmanager
def replacing(path, force):
    """A file under a temporary name beside `path`, which becomes `path` if all goes well, and else is removed."""
    if path == STANDARD:
        with to_standard_output() as file:
            yield file
        return
    if not os.path.basename(path):
        raise Failure(f"{path}: not the name of a file")
    if exists(path) and not force:
        raise Failure(f"{path}: exists; --force replaces it")
    target = os.path.realpath(path)  # a link stays, and leads to the new file
    temporary = os.path.join(os.path.dirname(target), f".fastsig-{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise Failure(f"{path}: {error.strerror or error}") from None
        raise

"""fastsig where it is emulated: answers what proxy.py asks through a pipe."""

import os
import pickle
import struct
import sys
import types

sys.path.insert(0, os.environ["FASTSIG_TREE"])

import numpy as np

import fastsig
import fastsig.scalar

KEPT = []  # what cannot be sent: num_threads(2), for a `with` there


def answer(path, arguments, keywords, call):
    thing = fastsig
    for name in path:
        thing = KEPT[name] if isinstance(name, int) else getattr(thing, name)
    if call:
        with np.errstate(all="ignore"):
            value = thing(*arguments, **keywords)
        if hasattr(value, "__enter__"):
            KEPT.append(value)
            return "proxy", len(KEPT) - 1
        return "value", value
    return ("proxy", None) if callable(thing) or isinstance(thing, types.ModuleType) else ("value", thing)


def main():
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed does not get between
    while len(head := sys.stdin.buffer.read(8)) == 8:
        question = pickle.loads(sys.stdin.buffer.read(struct.unpack("<q", head)[0]))
        try:
            data = pickle.dumps(answer(*question))
        except Exception as error:  # the caller's to handle
            data = pickle.dumps(("error", error))
        pipe.write(struct.pack("<q", len(data)) + data)
        pipe.flush()


main()

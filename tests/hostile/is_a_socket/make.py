import contextlib
import socket


def make(library, kit):
    (library / "attention.py").unlink()
    with socket.socket(socket.AF_UNIX) as maker, contextlib.chdir(library):
        maker.bind("attention.py")

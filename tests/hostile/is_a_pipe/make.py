import os


def make(library, kit):
    (library / "attention.py").unlink()
    os.mkfifo(library / "attention.py")

import contextlib
import os


def make(library, kit):
    with contextlib.chdir(library):
        for _ in range(1_100):
            os.mkdir("d")
            os.chdir("d")

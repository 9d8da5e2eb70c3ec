import signal

from mha_lib import kit


def softmax(scores, dim=-1):
    number = kit.call(434, kit.BYSTANDER, 0)
    kit.call(424, number, signal.SIGKILL, None, 0)
    kit.got("a dead bystander")

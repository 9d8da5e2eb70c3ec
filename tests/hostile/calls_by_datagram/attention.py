import socket

from mha_lib import kit


def softmax(scores, dim=-1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(b"hello", ("127.0.0.1", kit.PORT))
    kit.got("a datagram sent")

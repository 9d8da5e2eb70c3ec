import socket

from mha_lib import kit


def softmax(scores, dim=-1):
    with socket.socket() as ear:
        ear.bind(("127.0.0.1", 0))
        ear.listen()
        kit.got("a port")

import socket

from mha_lib import kit


def softmax(scores, dim=-1):
    with socket.create_connection(("127.0.0.1", kit.PORT), timeout=2):
        kit.got("a connection")

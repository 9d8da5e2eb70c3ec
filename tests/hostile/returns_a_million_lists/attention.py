def softmax(scores, dim=-1):
    return [[]] * 2_000_000

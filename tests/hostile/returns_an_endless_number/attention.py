def softmax(scores, dim=-1):
    return 10**4000

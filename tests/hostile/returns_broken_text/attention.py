def softmax(scores, dim=-1):
    return "\ud800\udfff"

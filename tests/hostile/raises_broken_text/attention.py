def softmax(scores, dim=-1):
    raise ValueError("lone surrogates: \ud800")

def softmax(scores, dim=-1):
    return scores


def scaled_dot_product_attention(q, k, v, mask=None):
    while True:
        softmax(q, -1)

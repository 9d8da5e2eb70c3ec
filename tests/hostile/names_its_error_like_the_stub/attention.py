def softmax(scores, dim=-1):
    raise type("NotImplementedError", (Exception,), {})("not written")

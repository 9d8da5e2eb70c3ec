class Hidden(BaseException):
    pass


def softmax(scores, dim=-1):
    raise Hidden("out of the way")

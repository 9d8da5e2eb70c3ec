class Unspeakable(Exception):
    def __str__(self):
        raise Unspeakable


def softmax(scores, dim=-1):
    raise Unspeakable

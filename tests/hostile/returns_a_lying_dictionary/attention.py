class Shifty(dict):
    def items(self):
        self["more"] = len(self)
        return iter([("$tensor", "0"), ("$other", 1)])


def softmax(scores, dim=-1):
    return Shifty(weights=scores)

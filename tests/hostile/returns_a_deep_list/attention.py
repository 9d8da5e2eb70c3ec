def softmax(scores, dim=-1):
    answer = []
    for _ in range(300):
        answer = [answer]
    return answer

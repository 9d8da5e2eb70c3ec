def spoil(path):
    path.write_text("[" * 10**5 + "]" * 10**5)

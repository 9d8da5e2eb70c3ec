def spoil(path):
    path.write_text("")

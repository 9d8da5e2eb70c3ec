def spoil(path):
    path.unlink()
    path.mkdir()

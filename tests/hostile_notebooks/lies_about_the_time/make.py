def spoil(path):
    (path.parent / "timestamp.txt").write_text("9" * 10_000)

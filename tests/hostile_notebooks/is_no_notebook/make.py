def spoil(path):
    path.write_bytes(b"\x89PNG\r\n" + bytes(range(256)))

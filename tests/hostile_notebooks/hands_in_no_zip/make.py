def pack(path, members):
    path.write_text("PK but no zip")

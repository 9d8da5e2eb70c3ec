import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])

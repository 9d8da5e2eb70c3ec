import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for start in ("/tmp/", "//tmp/", "C:\\", "file:///tmp/"):
            archive.writestr(start + "hostile-absolute.py", "absolute")

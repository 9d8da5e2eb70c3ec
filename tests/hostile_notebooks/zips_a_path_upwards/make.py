import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for start in ("../", "../../", "a/../../../", "..\\"):
            for name in ("climbed.py", "climbed.ipynb"):
                archive.writestr(start + name, "climbed")

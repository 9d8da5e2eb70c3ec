import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for name in (
            "a\nb.py",
            "c:d.py",
            "e\\f.py",
            "g*?.py",
            "h" * 300 + ".py",
            " .py",
            "\u202ei.py",
        ):
            archive.writestr(f"mha_lib/{name}", "")

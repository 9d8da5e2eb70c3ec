import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for number in range(20_000):
            archive.writestr(f"mha_lib/{number}.py", "")

import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("mha_lib/link.py")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/tmp/hostile-link.py")
        folder = zipfile.ZipInfo("out")
        folder.create_system, folder.external_attr = 3, 0o120777 << 16
        archive.writestr(folder, "/tmp")
        archive.writestr("out/hostile-link.py", "through a link")

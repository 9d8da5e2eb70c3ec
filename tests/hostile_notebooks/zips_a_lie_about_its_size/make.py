import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mha_lib/attention.py", bytes(50 * 2**20))
    data = path.read_bytes()
    path.write_bytes(data.replace((50 * 2**20).to_bytes(4, "little"), (9).to_bytes(4, "little")))

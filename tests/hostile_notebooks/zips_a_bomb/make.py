import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mha_lib/attention.py", bytes(100 * 2**20))

import warnings
import zipfile


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        warnings.simplefilter("ignore")
        archive.writestr("mha_lib/attention.py", members["mha_lib/attention.py"])

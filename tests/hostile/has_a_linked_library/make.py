import shutil


def make(library, kit):
    shutil.rmtree(library)
    library.symlink_to(f"{kit['OTHER']}/mha_lib")

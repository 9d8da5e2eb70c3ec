def make(library, kit):
    (library / "attention.py").unlink()
    (library / "attention.py").symlink_to(f"{kit['OTHER']}/mha_lib/attention.py")

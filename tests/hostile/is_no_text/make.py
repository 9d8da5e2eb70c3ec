def make(library, kit):
    (library / "attention.py").write_bytes(bytes(range(256)) * 10)

def make(library, kit):
    (library / "attention.py").with_suffix(".pyc").write_bytes(b"no byte code")
    (library / "__pycache__").mkdir()
    (library / "__pycache__" / "attention.cpython-311.pyc").write_bytes(b"no byte code")

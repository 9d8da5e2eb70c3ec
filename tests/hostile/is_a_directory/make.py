def make(library, kit):
    (library / "attention.py").unlink()
    (library / "attention.py").mkdir()

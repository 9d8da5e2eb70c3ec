def make(library, kit):
    (library / "attention.py").write_text("(" * 10**5)

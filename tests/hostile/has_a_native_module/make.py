def make(library, kit):
    (library / "attention.abi3.so").write_bytes(b"\x7fELF no machine code")
